package admin

import (
	"context"
	"net"
)

type connKey struct{}

// ConnContext is for http.Server: it has the handler reach its connection.
func ConnContext(ctx context.Context, c net.Conn) context.Context {
	return context.WithValue(ctx, connKey{}, c)
}

// boundBuffer bounds what the kernel holds for the caller of a request.
func boundBuffer(ctx context.Context) {
	if c, ok := ctx.Value(connKey{}).(interface{ SetWriteBuffer(int) error }); ok {
		_ = c.SetWriteBuffer(streamBuffer) // the write deadline bounds it, too
	}
}
