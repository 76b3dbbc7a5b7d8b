package instance

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"regexp"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/feature/ec2/imds"
	smithyhttp "github.com/aws/smithy-go/transport/http"
)

// Metadata reads the instance metadata service. Its methods are safe for concurrent use.
type Metadata struct {
	client *imds.Client
	http   aws.HTTPClient
}

// NewMetadata returns a reader that insists on IMDSv2: the first version answers to anything that can be made to send a
// GET. Where AWS_EC2_METADATA_DISABLED is true, its methods fail.
func NewMetadata(cfg aws.Config) *Metadata {
	return &Metadata{http: cfg.HTTPClient, client: imds.NewFromConfig(cfg, func(o *imds.Options) {
		o.EnableFallback = aws.FalseTernary
	})}
}

// PublicIPv4 returns the public address that the world sees this instance under; the zero Addr if it has none. After an
// association it lags behind EC2's answer by some seconds.
func (m *Metadata) PublicIPv4(ctx context.Context) (netip.Addr, error) {
	text, err := m.get(ctx, "public-ipv4")
	if err != nil || text == "" {
		return netip.Addr{}, err
	}
	return netip.ParseAddr(text)
}

// TargetState returns the lifecycle state that Auto Scaling takes the instance to, which is not the one it is in:
// Detached, InService, Standby, Terminated, Warmed:…; empty where Auto Scaling never set one.
func (m *Metadata) TargetState(ctx context.Context) (string, error) {
	state, err := m.get(ctx, "autoscaling/target-lifecycle-state")
	if err == nil && !stateText.MatchString(state) {
		return "", fmt.Errorf("read the target state of the instance metadata: %.40q is none", state)
	}
	return state, err
}

// stateText is what a state looks like, also one that AWS adds later; or none.
var stateText = regexp.MustCompile(`^[A-Za-z:]{0,64}$`)

// Interruption is a notice that Spot takes the instance away.
type Interruption struct {
	Action string    // terminate, stop or hibernate
	Time   time.Time // when, about two minutes after the notice
}

// Interrupted returns the notice, nil while there is none.
func (m *Metadata) Interrupted(ctx context.Context) (*Interruption, error) {
	var notice struct {
		Action string    `json:"action"`
		Time   time.Time `json:"time"`
	}
	if there, err := m.decode(ctx, "spot/instance-action", &notice); !there {
		return nil, err
	}
	return &Interruption{notice.Action, notice.Time}, nil
}

// RebalanceAdvised returns when Spot said that the instance is likely to be taken away; the zero time while it did not.
func (m *Metadata) RebalanceAdvised(ctx context.Context) (time.Time, error) {
	var notice struct {
		Time time.Time `json:"noticeTime"`
	}
	_, err := m.decode(ctx, "events/recommendations/rebalance", &notice)
	return notice.Time, err
}

// decode reads a notice and reports whether there is one.
func (m *Metadata) decode(ctx context.Context, path string, into any) (bool, error) {
	text, err := m.get(ctx, path)
	if err != nil || text == "" {
		return false, err
	}
	if err := json.Unmarshal([]byte(text), into); err != nil {
		return false, fmt.Errorf("read %s of the instance metadata: %w", path, err)
	}
	return true, nil
}

// get returns an item, empty where there is none (404).
func (m *Metadata) get(ctx context.Context, path string) (string, error) {
	out, err := m.client.GetMetadata(ctx, &imds.GetMetadataInput{Path: path})
	if err != nil {
		if status(err) == http.StatusNotFound {
			return "", nil
		}
		return "", fmt.Errorf("read %s of the instance metadata: %w", path, err)
	}
	defer out.Content.Close()
	text, err := io.ReadAll(io.LimitReader(out.Content, 1<<16))
	return strings.TrimSpace(string(text)), err
}

// status is the HTTP status of the metadata service's refusal; 0: it did not answer.
func status(err error) int {
	var refused *smithyhttp.ResponseError
	if errors.As(err, &refused) {
		return refused.HTTPStatusCode()
	}
	return 0
}
