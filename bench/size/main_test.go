package main

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestPackageOf(t *testing.T) {
	for symbol, want := range map[string]string{
		"main.main":                         "main",
		"runtime.mallocgc":                  "runtime",
		"net/http.(*Server).Serve":          "net/http",
		"github.com/miekg/dns.init":         "github.com/miekg/dns",
		"go.yaml.in/yaml/v3.(*parser).node": "go.yaml.in/yaml/v3",
		"gopkg.in/yaml%2ev2.Marshal":        "gopkg.in/yaml.v2",
		"slices.SortFunc[go.shape.[]github.com/aws/aws-sdk-go-v2/service/ec2/types.Tag]": "slices",
		"vendor/golang.org/x/net/idna.New":                                               "vendor/golang.org/x/net/idna",
		"type:.eq.github.com/miekg/dns.A":                                                "",
		"go:itab.*os.File,io.Writer":                                                     "",
		"runtime.pclntab":                                                                "",
		"_rt0_amd64_linux":                                                               "",
		"github.com/l4fwd/l4fwd/proxy.New.func1":                                         "github.com/l4fwd/l4fwd/proxy",
		"github.com/l4fwd/l4fwd/eip/lifecycle.x·":                                        "github.com/l4fwd/l4fwd/eip/lifecycle",
	} {
		require.Equal(t, want, packageOf(symbol), symbol)
	}
}
