package main

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"

	"github.com/hashicorp/terraform-plugin-go/tftypes"
)

// inventor makes up what a cloud would answer for a resource, the same for the same name each time.
func inventor(typeName string, planned tftypes.Value) func(string, tftypes.Type) tftypes.Value {
	var name string
	if v, there := fields(planned)["name"]; there && v.IsKnown() && !v.IsNull() {
		_ = v.As(&name) // names are strings
	}
	return func(attribute string, t tftypes.Type) tftypes.Value {
		sum := sha256.Sum256([]byte(typeName + "/" + name + "/" + attribute + "/" + planned.String()))
		switch {
		case t.Is(tftypes.String):
			return tftypes.NewValue(t, text(typeName, name, attribute, sum[:]))
		case t.Is(tftypes.Number):
			return tftypes.NewValue(t, int64(sum[0]))
		case t.Is(tftypes.Bool):
			return tftypes.NewValue(t, false)
		case t.Is(tftypes.List{}), t.Is(tftypes.Set{}):
			return tftypes.NewValue(t, []tftypes.Value{})
		case t.Is(tftypes.Map{}):
			return tftypes.NewValue(t, map[string]tftypes.Value{})
		}
		return tftypes.NewValue(t, nil)
	}
}

// text is a string of the form that others check.
func text(typeName, name, attribute string, sum []byte) string {
	digits := hex.EncodeToString(sum)
	switch {
	case attribute == "id" && strings.HasPrefix(typeName, "azurerm_"):
		return "/subscriptions/00000000-0000-0000-0000-000000000000/" + typeName + "/" + name
	case attribute == "vpc_endpoint_id":
		return "vpce-" + digits[:17]
	case attribute == "connection_state":
		return "PENDING"
	case strings.HasSuffix(attribute, "ip_address"):
		return fmt.Sprintf("10.2.%d.%d", sum[0], sum[1]%200+4)
	case attribute == "principal_id" || attribute == "tenant_id":
		return fmt.Sprintf("%s-%s-%s-%s-%s", digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:32])
	}
	return attribute + "-" + digits[:12]
}
