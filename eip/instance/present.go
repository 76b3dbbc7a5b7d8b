package instance

import (
	"context"
	"fmt"
	"os"
	"strings"
)

// Present returns nil if a metadata service is there, or one of ECS, so that Load is worth its time: it takes a second at most.
// Otherwise the error wraps ErrNotEC2 or ErrDisabled.
func Present(ctx context.Context) error {
	switch {
	case os.Getenv("ECS_CONTAINER_METADATA_URI_V4") != "":
		return nil
	case strings.EqualFold(os.Getenv("AWS_EC2_METADATA_DISABLED"), "true"):
		return fmt.Errorf("%w by AWS_EC2_METADATA_DISABLED", ErrDisabled)
	}
	if _, err := probe(nil)(ctx); err != nil { // any answer will do, a refusal too
		return fmt.Errorf("%w (%s: %s)", ErrNotEC2, endpoint(), brief(err))
	}
	return nil
}
