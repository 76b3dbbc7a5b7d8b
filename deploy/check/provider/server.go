package main

import (
	"context"
	"fmt"

	"github.com/hashicorp/terraform-plugin-go/tfprotov6"
	"github.com/hashicorp/terraform-plugin-go/tftypes"
)

// server answers what Terraform asks while it plans and applies; all else is not there.
type server struct {
	tfprotov6.ProviderServer
	schemas
}

// configured is what the modules and the example give a provider.
var configured = block{
	Attributes: map[string]attribute{
		"subscription_id": {Type: "string", Optional: true}, "host": {Type: "string", Optional: true}, "account_id": {Type: "string", Optional: true},
	},
	Blocks: map[string]block{"features": {Nesting: "list", Max: 1}},
}

func (s *server) GetProviderSchema(context.Context, *tfprotov6.GetProviderSchemaRequest) (*tfprotov6.GetProviderSchemaResponse, error) {
	provider, err := configured.protocol()
	if err != nil {
		return nil, err
	}
	resources, err := protocolAll(s.Resources)
	if err != nil {
		return nil, err
	}
	sources, err := protocolAll(s.DataSources)
	if err != nil {
		return nil, err
	}
	return &tfprotov6.GetProviderSchemaResponse{Provider: &tfprotov6.Schema{Block: provider}, ResourceSchemas: resources, DataSourceSchemas: sources}, nil
}

func protocolAll(types map[string]block) (map[string]*tfprotov6.Schema, error) {
	out := map[string]*tfprotov6.Schema{}
	for name, b := range types {
		p, err := b.protocol()
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		out[name] = &tfprotov6.Schema{Block: p}
	}
	return out, nil
}

// typeOf is the type of a resource's values; the schema was read before, when Terraform asked for it.
func typeOf(b block) tftypes.Type {
	p, err := b.protocol()
	if err != nil {
		return tftypes.DynamicPseudoType
	}
	return p.ValueType()
}

func (s *server) ValidateProviderConfig(context.Context, *tfprotov6.ValidateProviderConfigRequest) (*tfprotov6.ValidateProviderConfigResponse, error) {
	return &tfprotov6.ValidateProviderConfigResponse{}, nil
}

func (s *server) ConfigureProvider(context.Context, *tfprotov6.ConfigureProviderRequest) (*tfprotov6.ConfigureProviderResponse, error) {
	return &tfprotov6.ConfigureProviderResponse{}, nil
}

func (s *server) StopProvider(context.Context, *tfprotov6.StopProviderRequest) (*tfprotov6.StopProviderResponse, error) {
	return &tfprotov6.StopProviderResponse{}, nil
}

func (s *server) ValidateResourceConfig(context.Context, *tfprotov6.ValidateResourceConfigRequest) (*tfprotov6.ValidateResourceConfigResponse, error) {
	return &tfprotov6.ValidateResourceConfigResponse{}, nil
}

func (s *server) ValidateDataResourceConfig(context.Context, *tfprotov6.ValidateDataResourceConfigRequest) (*tfprotov6.ValidateDataResourceConfigResponse, error) {
	return &tfprotov6.ValidateDataResourceConfigResponse{}, nil
}

func (s *server) UpgradeResourceState(_ context.Context, r *tfprotov6.UpgradeResourceStateRequest) (*tfprotov6.UpgradeResourceStateResponse, error) {
	t := typeOf(s.Resources[r.TypeName])
	v, err := r.RawState.Unmarshal(t)
	if err != nil {
		return nil, err
	}
	state, err := tfprotov6.NewDynamicValue(t, v)
	return &tfprotov6.UpgradeResourceStateResponse{UpgradedState: &state}, err
}

func (s *server) ReadResource(_ context.Context, r *tfprotov6.ReadResourceRequest) (*tfprotov6.ReadResourceResponse, error) {
	return &tfprotov6.ReadResourceResponse{NewState: r.CurrentState}, nil
}

func (s *server) PlanResourceChange(_ context.Context, r *tfprotov6.PlanResourceChangeRequest) (*tfprotov6.PlanResourceChangeResponse, error) {
	b := s.Resources[r.TypeName]
	t := typeOf(b)
	prior, err := r.PriorState.Unmarshal(t)
	if err != nil {
		return nil, err
	}
	proposed, err := r.ProposedNewState.Unmarshal(t)
	if err != nil {
		return nil, err
	}
	unknown := func(_ string, t tftypes.Type) tftypes.Value { return tftypes.NewValue(t, tftypes.UnknownValue) }
	planned := b.fill(proposed, unknown, tftypes.Value.IsNull)
	state, err := tfprotov6.NewDynamicValue(t, planned)
	return &tfprotov6.PlanResourceChangeResponse{PlannedState: &state, RequiresReplace: b.replaces(prior, planned, tftypes.NewAttributePath())}, err
}

func (s *server) ApplyResourceChange(_ context.Context, r *tfprotov6.ApplyResourceChangeRequest) (*tfprotov6.ApplyResourceChangeResponse, error) {
	b := s.Resources[r.TypeName]
	t := typeOf(b)
	planned, err := r.PlannedState.Unmarshal(t)
	if err != nil {
		return nil, err
	}
	unknown := func(v tftypes.Value) bool { return !v.IsKnown() }
	state, err := tfprotov6.NewDynamicValue(t, b.fill(planned, inventor(r.TypeName, planned), unknown))
	return &tfprotov6.ApplyResourceChangeResponse{NewState: &state}, err
}

func (s *server) ReadDataSource(_ context.Context, r *tfprotov6.ReadDataSourceRequest) (*tfprotov6.ReadDataSourceResponse, error) {
	b := s.DataSources[r.TypeName]
	t := typeOf(b)
	config, err := r.Config.Unmarshal(t)
	if err != nil {
		return nil, err
	}
	state, err := tfprotov6.NewDynamicValue(t, b.fill(config, inventor(r.TypeName, config), tftypes.Value.IsNull))
	return &tfprotov6.ReadDataSourceResponse{State: &state}, err
}
