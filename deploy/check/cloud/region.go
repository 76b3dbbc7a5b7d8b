package main

import (
	"encoding/json"
	"encoding/xml"
	"fmt"
	"log"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/l4fwd/l4fwd/eip/sim"
)

// regionConfig is the machine as moto made it, its group with the hooks that Terraform made, and where all that is served.
type regionConfig struct {
	Metadata    string // address of the metadata service
	AutoScaling string // address of Auto Scaling, and of /check/state, /check/calls and /check/terminate
	EC2         string // URL of moto
	Role        string
	Machine     sim.Machine
	Group       string
	Hooks       []struct {
		Name, Transition string
		Seconds          int
	}
}

func serveRegion(c regionConfig) error {
	metadata := sim.NewMetadata(c.Machine)
	metadata.Set("iam/security-credentials/", c.Role)
	metadata.Set("iam/security-credentials/"+c.Role, credentials())
	metadata.Public(func() string { return publicIP(c) })

	groups := sim.NewAutoScaling()
	hooks := make([]sim.Hook, len(c.Hooks))
	for i, h := range c.Hooks {
		hooks[i] = sim.Hook{Name: h.Name, Transition: h.Transition, Timeout: time.Duration(h.Seconds) * time.Second}
	}
	groups.Group(c.Group, hooks...)
	groups.Launch(c.Group, c.Machine.Instance, metadata)
	groups.OnCall(func(call string) { log.Print("Auto Scaling: ", call) })

	return together(serve(c.Metadata, metadata), serve(c.AutoScaling, control(groups, c.Machine.Instance)))
}

// control is Auto Scaling's API, and what the check wants to know of it and do with it.
func control(groups *sim.AutoScaling, instance string) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("/", groups)
	mux.HandleFunc("GET /check/state", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, groups.State(instance)) })
	mux.HandleFunc("GET /check/calls", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintln(w, strings.Join(groups.Calls(), "\n"))
	})
	mux.HandleFunc("POST /check/terminate", func(http.ResponseWriter, *http.Request) { groups.Terminate(instance) })
	return mux
}

// credentials is what the metadata service tells of a role; moto takes any.
func credentials() string {
	text, _ := json.Marshal(map[string]string{ // of strings alone: cannot fail
		"Code": "Success", "Type": "AWS-HMAC", "AccessKeyId": "ASIACHECK", "SecretAccessKey": "check", "Token": "check",
		"LastUpdated": time.Now().UTC().Format(time.RFC3339), "Expiration": time.Now().Add(6 * time.Hour).UTC().Format(time.RFC3339),
	})
	return string(text)
}

// publicIP asks moto which Elastic IP is on the machine's interface; empty: none, or no answer.
func publicIP(c regionConfig) string {
	form := url.Values{"Action": {"DescribeAddresses"}, "Version": {"2016-11-15"},
		"Filter.1.Name": {"network-interface-id"}, "Filter.1.Value.1": {c.Machine.Interface}}
	request, err := http.NewRequest(http.MethodPost, c.EC2, strings.NewReader(form.Encode()))
	if err != nil {
		return ""
	}
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	// moto looks up the service in it, and checks no signature.
	request.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential=check/20260101/"+c.Machine.Region+"/ec2/aws4_request, SignedHeaders=host, Signature=0")
	answer, err := (&http.Client{Timeout: 2 * time.Second}).Do(request)
	if err != nil {
		return ""
	}
	defer answer.Body.Close()
	var found struct {
		Addresses []struct {
			PublicIP string `xml:"publicIp"`
		} `xml:"addressesSet>item"`
	}
	if err := xml.NewDecoder(answer.Body).Decode(&found); err != nil || len(found.Addresses) != 1 {
		return ""
	}
	return found.Addresses[0].PublicIP
}
