package preface

import (
	"bufio"
	"bytes"
	"sync"

	proxyproto "github.com/pires/go-proxyproto"
)

// reader gives the library bytes that are already complete. Its buffer takes a v1 header whole, as the library requires.
type reader struct {
	src bytes.Reader
	buf *bufio.Reader
}

var readers = sync.Pool{New: func() any {
	r := &reader{}
	r.buf = bufio.NewReaderSize(&r.src, 128)
	return r
}}

// readHeader has the library read the complete header b, which it does not keep.
func readHeader(b []byte) (*proxyproto.Header, error) {
	r := readers.Get().(*reader)
	r.src.Reset(b)
	r.buf.Reset(&r.src)
	h, err := proxyproto.Read(r.buf)
	r.src.Reset(nil) // b is the caller's
	readers.Put(r)
	return h, err
}
