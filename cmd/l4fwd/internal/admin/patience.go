package admin

import (
	"context"
	"net"
	"net/http"
	"time"
)

// patient lets an answer take as long as it needs. The server's limit for reading a request goes on after the request was
// read, and then ends the request's context: a profile of 30 s would have the server's 3 s, and a stream would end.
func patient(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Body == nil || r.Body == http.NoBody {
			_ = http.NewResponseController(w).SetReadDeadline(time.Time{}) // not there in tests without a connection
		}
		next.ServeHTTP(w, r)
	})
}

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
