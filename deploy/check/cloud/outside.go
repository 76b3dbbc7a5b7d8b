package main

import (
	"encoding/binary"
	"fmt"
	"io"
	"log"
	"net"
	"net/netip"
	"strings"
	"sync"

	"github.com/miekg/dns"
)

// outsideConfig is what lies beyond the instance's network interface.
type outsideConfig struct {
	Resolver string                // address of the resolver
	Names    map[string]netip.Addr // of the upstreams
	Balancer string                // where the load balancer accepts
	Sources  []netip.Addr          // its addresses, primary and secondary, which take turns
	Target   netip.AddrPort        // and where it sends that to
	Endpoint string                // the VPC endpoint its clients come through
}

func serveOutside(c outsideConfig) error {
	resolver := &dns.Server{Addr: c.Resolver, Net: "udp", Handler: dns.HandlerFunc(c.answer)}
	return together(resolver.ListenAndServe, c.balance)
}

// answer resolves the upstreams' names as Azure does, by way of others and for ten seconds; all else does not exist.
func (c outsideConfig) answer(w dns.ResponseWriter, question *dns.Msg) {
	m := new(dns.Msg).SetReply(question)
	upstream := netip.Addr{}
	if len(question.Question) == 1 {
		upstream = c.Names[strings.TrimSuffix(question.Question[0].Name, ".")]
	}
	if upstream.IsValid() {
		name := question.Question[0].Name
		const front = "vnetproxyv1-prod.westus.cloudapp.azure.com."
		m.Answer = append(m.Answer, &dns.CNAME{Hdr: dns.RR_Header{Name: name, Rrtype: dns.TypeCNAME, Class: dns.ClassINET, Ttl: 60}, Target: front})
		if question.Question[0].Qtype == dns.TypeA {
			m.Answer = append(m.Answer, &dns.A{Hdr: dns.RR_Header{Name: front, Rrtype: dns.TypeA, Class: dns.ClassINET, Ttl: 10}, A: upstream.AsSlice()})
		}
	} else {
		m.Rcode = dns.RcodeNameError
	}
	if err := w.WriteMsg(m); err != nil {
		log.Print("answer: ", err)
	}
}

// balance accepts for ever, and puts a PROXY header before what a client sends.
func (c outsideConfig) balance() error {
	l, err := net.Listen("tcp", c.Balancer)
	if err != nil {
		return err
	}
	for i := 0; ; i++ {
		client, err := l.Accept()
		if err != nil {
			return err
		}
		source := c.Sources[i%len(c.Sources)]
		go func() {
			if err := c.forward(client.(*net.TCPConn), source); err != nil {
				log.Print("forward: ", err)
			}
		}()
	}
}

// forward serves one client until both sides have said all.
func (c outsideConfig) forward(client *net.TCPConn, source netip.Addr) error {
	defer client.Close()
	target, err := net.DialTCP("tcp", net.TCPAddrFromAddrPort(netip.AddrPortFrom(source, 0)), net.TCPAddrFromAddrPort(c.Target))
	if err != nil {
		return err
	}
	defer target.Close()
	if _, err := target.Write(c.header(target.LocalAddr().(*net.TCPAddr).AddrPort())); err != nil {
		return err
	}
	var both sync.WaitGroup
	both.Go(func() { oneWay(target, client) })
	both.Go(func() { oneWay(client, target) })
	both.Wait()
	return nil
}

// oneWay ends the other direction of a connection that was reset: there is nobody to tell.
func oneWay(to, from *net.TCPConn) {
	if _, err := io.Copy(to, from); err != nil {
		to.Close()
		from.Close()
		return
	}
	_ = to.CloseWrite() // it may be closed already
}

// header is version 2 of the PROXY protocol as a network load balancer writes it for PrivateLink: its own address
// as source, the target, and the endpoint's id (TLV 0xEA, subtype 1).
// https://docs.aws.amazon.com/elasticloadbalancing/latest/network/edit-target-group-attributes.html#proxy-protocol
func (c outsideConfig) header(from netip.AddrPort) []byte {
	b := append([]byte("\r\n\r\n\x00\r\nQUIT\n\x21\x11"), 0, byte(12+3+1+len(c.Endpoint)))
	b = append(b, from.Addr().Unmap().AsSlice()...)
	b = append(b, c.Target.Addr().AsSlice()...)
	b = binary.BigEndian.AppendUint16(b, from.Port())
	b = binary.BigEndian.AppendUint16(b, c.Target.Port())
	b = append(b, 0xEA, 0, byte(1+len(c.Endpoint)), 1)
	return fmt.Append(b, c.Endpoint)
}
