package haproxy_test

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// Every ACL that HAProxy defines itself (section 7.4 of its manual) is known. Those that look at HTTP, or at cookies of RDP, as the
// manual's example of rdp-cookie does, cannot be judged; the file was refused for a name that does not exist.
func TestPredefinedACLs(t *testing.T) {
	for name, fetch := range map[string]string{
		"RDP_COOKIE": "req.rdp_cookie_cnt", "HTTP": "req.proto_http", "HTTP_1.0": "req.ver", "HTTP_1.1": "req.ver", "HTTP_2.0": "req.ver",
		"HTTP_CONTENT": "req.hdr_val(content-length)", "HTTP_URL_ABS": "url_reg", "HTTP_URL_SLASH": "url_beg", "HTTP_URL_STAR": "url",
		"METH_CONNECT": "method", "METH_DELETE": "method", "METH_GET": "method", "METH_HEAD": "method", "METH_OPTIONS": "method",
		"METH_POST": "method", "METH_PUT": "method", "METH_TRACE": "method",
	} {
		importCase{text: guarded("tcp-request content accept if " + name),
			says: []string{"x.cfg:7: dropped: tcp-request content accept if " + name + ": l4fwd does not judge " + fetch + "\n"}}.run(t)
	}
	for name, served := range map[string]bool{"TRUE": true, "WAIT_END": true, "{ wait_end }": true, "REQ_CONTENT": true, "FALSE": false} {
		yaml, said, _ := imported(t, guarded("tcp-request content accept if "+name, "tcp-request content reject"))
		require.Equal(t, served, yaml != "", "%s: %s", name, said)
	}
}
