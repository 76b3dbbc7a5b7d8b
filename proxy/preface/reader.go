package preface

import (
	"bufio"
	"bytes"
	"sync"

	proxyproto "github.com/pires/go-proxyproto"
)

// reader is the library's way to bytes that are all there. Its buffer takes a v1 header whole, which the library asks for.
type reader struct {
	src bytes.Reader
	buf *bufio.Reader
}

var readers = sync.Pool{New: func() any {
	r := &reader{}
	r.buf = bufio.NewReaderSize(&r.src, 128)
	return r
}}

func readHeader(b []byte) (*proxyproto.Header, error) {
	r := readers.Get().(*reader)
	r.src.Reset(b)
	r.buf.Reset(&r.src)
	h, err := proxyproto.Read(r.buf)
	r.src.Reset(nil) // b is the caller's
	readers.Put(r)
	return h, err
}
