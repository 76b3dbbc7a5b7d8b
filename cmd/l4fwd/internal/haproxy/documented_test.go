package haproxy_test

import (
	"strings"
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

// The file's own variables count from the next line on: presetenv leaves one that is there, also an empty one, and resetenv removes
// all that it does not name.
func TestTheFileSetsVariables(t *testing.T) {
	for lines, want := range map[string]string{
		"setenv A 7|setenv A 8":                         "8",
		"setenv A 7|presetenv A 8":                      "7",
		"presetenv A 7":                                 "7",
		"presetenv SERVER 7|setenv A \"${SERVER}\"":     "10.0.0.1",
		"presetenv EMPTY 7|setenv A \"${EMPTY}.\"":      ".",
		"setenv A 7|unsetenv B A":                       "unset",
		"setenv A 7|unsetenv A|presetenv A 9":           "9",
		"setenv A 7|resetenv":                           "unset",
		"setenv A 7|resetenv B A":                       "7",
		"resetenv LIST|setenv A \"${SERVER-gone}\"":     "gone",
		"resetenv SERVER|setenv A \"${SERVER}\"":        "10.0.0.1",
		"resetenv SERVER|resetenv|presetenv SERVER 7":   "unset",
		"resetenv|resetenv SERVER|setenv A \"$SERVER\"": "",
		"setenv A \"${.SECTION} ${.LINE} ${.FILE}\"":    "global 2 x.cfg",
	} {
		text := "global\n " + strings.ReplaceAll(lines, "|", "\n ") + "\n" + listening(oneServer, `filter "<${A-unset}>"`)
		_, said, _ := imported(t, text)
		require.Contains(t, said, "dropped: filter <"+want+">: ", lines)
	}
	yaml, said, _ := imported(t, listening(`server s "${.SECTION}.${.FILE}:${.LINE}"`))
	require.Contains(t, yaml, "address: app.x.cfg:8\n", said)
}
