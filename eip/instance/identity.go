// Package instance tells what the machine is that l4fwd runs on: its identity on EC2, its public address, and what Auto
// Scaling and Spot intend to do with it. All of it comes from the instance metadata service (IMDSv2) and, in a container of
// ECS, from the task's metadata.
package instance

import (
	"context"
	"fmt"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/feature/ec2/imds"
	"github.com/aws/smithy-go/logging"
)

// Identity names the machine to the EC2 and Auto Scaling APIs.
type Identity struct {
	Region    string `json:"region"`     // eu-west-1
	Account   string `json:"account"`    // twelve digits; empty where the metadata service does not tell
	Instance  string `json:"id"`         // i-…
	Interface string `json:"interface"`  // eni-… of the primary network interface
	PrivateIP string `json:"private_ip"` // its primary private IPv4 address
}

// Load returns the SDK's configuration from its standard environment, and who this machine is, whose region the
// configuration has where the environment names none. Its errors are those of Discover.
func Load(ctx context.Context) (aws.Config, Identity, error) {
	cfg, err := LoadAs(ctx, Identity{})
	if err != nil {
		return cfg, Identity{}, err
	}
	id, err := Discover(ctx, cfg)
	if cfg.Region == "" {
		cfg.Region = id.Region
	}
	return cfg, id, err
}

// LoadAs is Load on a machine that is known already: the metadata are not asked who it is.
func LoadAs(ctx context.Context, id Identity) (aws.Config, error) {
	// The SDK would write its warnings to standard error, between the lines of the log.
	cfg, err := config.LoadDefaultConfig(ctx, config.WithLogger(logging.Nop{}))
	if err != nil {
		return cfg, fmt.Errorf("load the AWS configuration: %w", err)
	}
	if cfg.Region == "" {
		cfg.Region = id.Region
	}
	return cfg, nil
}

// Discover finds out who this machine is. Its errors are for the operator: they say what is missing and what to set.
// cfg needs neither region nor credentials; its HTTP client and AWS_EC2_METADATA_… of the environment are heeded.
func Discover(ctx context.Context, cfg aws.Config) (Identity, error) {
	if err := refuseTask(ctx, cfg.HTTPClient); err != nil {
		return Identity{}, err
	}
	m := NewMetadata(cfg)
	id, err := m.identity(ctx)
	if err != nil {
		return Identity{}, explain(ctx, err, probe(m.http))
	}
	return id, id.complete()
}

// complete fails where an item is missing without which nothing can be claimed.
func (id Identity) complete() error {
	for _, item := range [][2]string{{"region", id.Region}, {"instance id", id.Instance}, {"interface id", id.Interface}, {"private address", id.PrivateIP}} {
		if strings.TrimSpace(item[1]) == "" {
			return fmt.Errorf("the instance metadata service tells no %s", item[0])
		}
	}
	return nil
}

// identity asks the metadata service who this instance is.
func (m *Metadata) identity(ctx context.Context) (Identity, error) {
	doc, err := m.client.GetInstanceIdentityDocument(ctx, &imds.GetInstanceIdentityDocumentInput{})
	if err != nil {
		return Identity{}, err
	}
	id := Identity{Region: doc.Region, Account: doc.AccountID, Instance: doc.InstanceID}
	mac, err := m.get(ctx, "mac")
	if err != nil {
		return Identity{}, err
	}
	of := "network/interfaces/macs/" + mac + "/"
	if id.Interface, err = m.get(ctx, of+"interface-id"); err != nil {
		return Identity{}, err
	}
	addrs, err := m.get(ctx, of+"local-ipv4s")
	if err != nil {
		return Identity{}, err
	}
	id.PrivateIP, _, _ = strings.Cut(addrs, "\n") // the primary address comes first
	return id, nil
}
