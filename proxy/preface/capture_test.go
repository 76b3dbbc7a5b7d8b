package preface

import (
	"crypto/ecdh"
	"crypto/rand"
	"crypto/tls"
	"encoding/binary"
	"net"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// goHello returns the first flight of a crypto/tls client.
func goHello(t testing.TB, c *tls.Config) []byte {
	t.Helper()
	client, server := net.Pipe()
	defer server.Close()
	go func() {
		defer client.Close()
		_ = tls.Client(client, c).Handshake() // fails: nobody answers
	}()
	return firstFlight(t, server)
}

func firstFlight(t testing.TB, c net.Conn) []byte {
	t.Helper()
	require.NoError(t, c.SetReadDeadline(time.Now().Add(5*time.Second)))
	b := make([]byte, MaxBytes)
	n := 0
	for {
		if n >= recordHead && n >= recordHead+int(binary.BigEndian.Uint16(b[3:])) {
			return b[:n]
		}
		m, err := c.Read(b[n:])
		require.NoError(t, err)
		n += m
	}
}

// programHello returns the first flight of a program that is told to connect to 127.0.0.1:port.
func programHello(t testing.TB, args func(port string) []string) []byte {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer ln.Close()
	_, port, err := net.SplitHostPort(ln.Addr().String())
	require.NoError(t, err)
	a := args(port)
	if _, err := exec.LookPath(a[0]); err != nil {
		t.Skipf("no %s here", a[0])
	}
	cmd := exec.Command(a[0], a[1:]...)
	require.NoError(t, cmd.Start())
	defer func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait() // it was killed
	}()
	require.NoError(t, ln.(*net.TCPListener).SetDeadline(time.Now().Add(5*time.Second)))
	c, err := ln.Accept()
	require.NoError(t, err)
	defer c.Close()
	return firstFlight(t, c)
}

func TestHelloOfCryptoTLS(t *testing.T) {
	for name, c := range map[string]*tls.Config{
		"default":      {},
		"post-quantum": {CurvePreferences: []tls.CurveID{tls.X25519MLKEM768}},
		"classic":      {CurvePreferences: []tls.CurveID{tls.X25519}},
		"tls 1.2":      {MaxVersion: tls.VersionTLS12},
		"alpn":         {NextProtos: []string{"h2", "http/1.1"}},
	} {
		t.Run(name, func(t *testing.T) {
			c.ServerName = "Dais24-AOAI-demo.openai.azure.com"
			b := goHello(t, c)
			if name == "post-quantum" {
				require.Greater(t, len(b), 1300)
			}
			checkWhole(t, Config{Hello: true}, b, len(b), 0, "dais24-aoai-demo.openai.azure.com")
		})
	}
	b := goHello(t, &tls.Config{InsecureSkipVerify: true})
	_, v := Parse(Config{Hello: true}, b)
	require.Equal(t, SNIMissing, v.Refuse)
}

// With Encrypted ClientHello the name in the clear is the one of the configuration, not the one the client wants.
func TestEncryptedClientHelloShowsTheOuterName(t *testing.T) {
	key, err := ecdh.X25519().GenerateKey(rand.Reader)
	require.NoError(t, err)
	contents := []byte{7, 0, 0x20, 0, 32} // config id, KEM X25519, length of the key
	contents = append(contents, key.PublicKey().Bytes()...)
	contents = append(contents, 0, 4, 0, 1, 0, 1, 64) // HKDF-SHA256 with AES-128-GCM; longest name
	contents = append(contents, byte(len("outer.example")))
	contents = append(contents, "outer.example"...)
	contents = append(contents, 0, 0) // no extensions
	config := binary.BigEndian.AppendUint16([]byte{0xfe, 0x0d}, uint16(len(contents)))
	config = append(config, contents...)
	list := append(binary.BigEndian.AppendUint16(nil, uint16(len(config))), config...)
	b := goHello(t, &tls.Config{
		ServerName: "inner.example", MinVersion: tls.VersionTLS13, EncryptedClientHelloConfigList: list,
	})
	checkWhole(t, Config{Hello: true}, b, len(b), 0, "outer.example")
}

func TestHelloOfPrograms(t *testing.T) {
	for name, args := range map[string]func(port string) []string{
		"openssl": func(port string) []string {
			return strings.Fields("openssl s_client -connect 127.0.0.1:" + port + " -servername Www.Example.com.")
		},
		"openssl tls 1.2": func(port string) []string {
			return strings.Fields("openssl s_client -tls1_2 -connect 127.0.0.1:" + port + " -servername www.example.com")
		},
		"openssl, several records": func(port string) []string {
			return strings.Fields("openssl s_client -split_send_frag 512 -max_send_frag 512 -connect 127.0.0.1:" + port +
				" -alpn " + strings.Repeat("x", 200) + "," + strings.Repeat("y", 200) + "," + strings.Repeat("z", 200) +
				" -servername www.example.com")
		},
		"curl": func(port string) []string {
			return strings.Fields("curl -s --connect-to www.example.com:443:127.0.0.1:" + port + " https://www.example.com/")
		},
	} {
		t.Run(name, func(t *testing.T) {
			b := programHello(t, args)
			checkWhole(t, Config{Hello: true}, b, len(b), 0, "www.example.com")
		})
	}
	b := programHello(t, func(port string) []string {
		return strings.Fields("openssl s_client -noservername -connect 127.0.0.1:" + port)
	})
	_, v := Parse(Config{Hello: true}, b)
	require.Equal(t, SNIMissing, v.Refuse)
}

// checkWhole checks that the first n bytes of b are a preface that is accepted when, and only when, all are there.
func checkWhole(t *testing.T, c Config, b []byte, n, skip int, sni string) {
	t.Helper()
	whole := checkSplits(t, c, b)
	require.False(t, whole.v.More)
	require.Equal(t, None, whole.v.Refuse, whole.v.Detail)
	require.Equal(t, skip, whole.v.Skip)
	require.Equal(t, sni, whole.r.SNI)
	p := Parser{Config: c}
	for i := range n {
		if !p.Parse(b[:i]).More {
			t.Fatalf("accepted after %d of %d bytes", i, n)
		}
	}
	require.False(t, p.Parse(b[:n]).More)
}
