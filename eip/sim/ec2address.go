package sim

import (
	"encoding/xml"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

type describeAddressesResponse struct {
	XMLName xml.Name      `xml:"http://ec2.amazonaws.com/doc/2016-11-15/ DescribeAddressesResponse"`
	Items   []addressItem `xml:"addressesSet>item"`
}

type addressItem struct {
	PublicIP      string    `xml:"publicIp"`
	AllocationID  string    `xml:"allocationId"`
	Domain        string    `xml:"domain"`
	AssociationID string    `xml:"associationId,omitempty"`
	Interface     string    `xml:"networkInterfaceId,omitempty"`
	PrivateIP     string    `xml:"privateIpAddress,omitempty"`
	Instance      string    `xml:"instanceId,omitempty"`
	Tags          []tagItem `xml:"tagSet>item"`
}

type tagItem struct {
	Key   string `xml:"key"`
	Value string `xml:"value"`
}

type associateAddressResponse struct {
	XMLName     xml.Name `xml:"http://ec2.amazonaws.com/doc/2016-11-15/ AssociateAddressResponse"`
	Return      bool     `xml:"return"`
	Association string   `xml:"associationId"`
}

type disassociateAddressResponse struct {
	XMLName xml.Name `xml:"http://ec2.amazonaws.com/doc/2016-11-15/ DisassociateAddressResponse"`
	Return  bool     `xml:"return"`
}

// describeAddresses shows the addresses as they were some time ago.
func (s *EC2) describeAddresses(o *EC2Options, form url.Values) (any, *apiError) {
	at := time.Now()
	if o.Lag != nil {
		at = at.Add(-o.Lag())
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, id := range numbered(form, "AllocationId") {
		if s.address(id) == nil {
			return nil, refuse("InvalidAllocationID.NotFound", "The allocation ID '%s' does not exist", id)
		}
	}
	var r describeAddressesResponse
	for _, a := range s.addresses {
		state := a.asOf(at)
		item := s.item(a, state)
		if !state.gone && chosen(item, form) {
			r.Items = append(r.Items, item)
		}
	}
	return r, nil
}

// item is an address as DescribeAddresses lists it, in a state that may be older than the present one.
func (s *EC2) item(a *address, state association) addressItem {
	item := addressItem{PublicIP: a.public.String(), AllocationID: a.allocation, Domain: "vpc"}
	for k, v := range a.tags {
		item.Tags = append(item.Tags, tagItem{k, v})
	}
	if state.id != "" {
		item.AssociationID, item.Interface, item.PrivateIP = state.id, state.eni, state.private.String()
		if i := s.interfaces[state.eni]; i != nil {
			item.Instance = i.instance
		}
	}
	return item
}

// chosen reports whether the address passes the ids and all filters of the request.
func chosen(item addressItem, form url.Values) bool {
	if ids := numbered(form, "AllocationId"); len(ids) > 0 && !slices.Contains(ids, item.AllocationID) {
		return false
	}
	for n := 1; form.Has("Filter." + strconv.Itoa(n) + ".Name"); n++ {
		prefix := "Filter." + strconv.Itoa(n)
		if !passes(item, form.Get(prefix+".Name"), numbered(form, prefix+".Value")) {
			return false
		}
	}
	return true
}

// passes reports whether an address passes one filter of DescribeAddresses: its name, and the values of which one must match.
func passes(item addressItem, name string, values []string) bool {
	key, tagged := strings.CutPrefix(name, "tag:")
	switch {
	case tagged:
		return slices.ContainsFunc(item.Tags, func(t tagItem) bool { return t.Key == key && slices.Contains(values, t.Value) })
	case name == "tag-key":
		return slices.ContainsFunc(item.Tags, func(t tagItem) bool { return slices.Contains(values, t.Key) })
	case name == "allocation-id":
		return slices.Contains(values, item.AllocationID)
	case name == "network-interface-id":
		return slices.Contains(values, item.Interface)
	}
	return false
}

// numbered returns the values of Name.1, Name.2 and so on.
func numbered(form url.Values, name string) []string {
	var all []string
	for n := 1; form.Has(name + "." + strconv.Itoa(n)); n++ {
		all = append(all, form.Get(name+"."+strconv.Itoa(n)))
	}
	return all
}

// associateAddress is the compare-and-set, unless reassociation is allowed, which it is if nothing is said.
func (s *EC2) associateAddress(o *EC2Options, form url.Values) (any, *apiError) {
	s.mu.Lock()
	defer s.mu.Unlock()
	a, eni := s.address(form.Get("AllocationId")), s.interfaces[form.Get("NetworkInterfaceId")]
	switch {
	case a == nil:
		return nil, refuse("InvalidAllocationID.NotFound", "The allocation ID '%s' does not exist", form.Get("AllocationId"))
	case eni == nil:
		return nil, refuse("InvalidNetworkInterfaceID.NotFound", "The networkInterface ID '%s' does not exist", form.Get("NetworkInterfaceId"))
	}
	private := eni.private[0]
	if text := form.Get("PrivateIpAddress"); text != "" {
		private, _ = netip.ParseAddr(text)
		if !slices.Contains(eni.private, private) {
			return nil, refuse("InvalidParameterValue", "Invalid value '%s' for PrivateIpAddress", text)
		}
	}
	now := a.now()
	same := now.eni == eni.id && now.private == private
	switch steal := form.Get("AllowReassociation") != "false"; {
	case same && !o.RefuseRepeat:
		return associateAddressResponse{Return: true, Association: now.id}, nil
	case now.id != "" && !steal:
		return nil, refuse("Resource.AlreadyAssociated", "resource %s is already associated with associate-id %s", a.allocation, now.id)
	case o.RefuseSecond && s.at(eni.id, private) != nil:
		return nil, refuse("Resource.AlreadyAssociated", "resource %s is already associated with associate-id %s", eni.id, s.at(eni.id, private).now().id)
	}
	s.vacate(eni.id, private, "AssociateAddress")
	id := s.newAssociation()
	s.associate(a, association{id: id, eni: eni.id, private: private}, "AssociateAddress")
	return associateAddressResponse{Return: true, Association: id}, nil
}

// disassociateAddress answers DisassociateAddress.
func (s *EC2) disassociateAddress(form url.Values) (any, *apiError) {
	s.mu.Lock()
	defer s.mu.Unlock()
	id := form.Get("AssociationId")
	for _, a := range s.addresses {
		if now := a.now(); id != "" && now.id == id {
			s.associate(a, association{}, "DisassociateAddress")
			return disassociateAddressResponse{Return: true}, nil
		}
	}
	return nil, refuse("InvalidAssociationID.NotFound", "The association ID '%s' does not exist", id)
}
