package instance

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
)

// supportedTask is what a refused task is told.
const supportedTask = "run the task on EC2 instances (launch type EC2) with networkMode host, one a machine " +
	"(scheduling strategy DAEMON), so that its traffic leaves from the instance's interface; or set no eip.pool and use the " +
	"addresses of a NAT gateway"

// task is what ECS tells of a task, as far as it matters here. The container's own metadata has Networks at the top, the
// task's has LaunchType.
type task struct {
	LaunchType string
	Networks   []struct{ NetworkMode string }
}

// refuseTask fails in an ECS task whose traffic does not leave from the instance's interface. Such a task may still reach
// the instance's metadata service, and would then claim an address for the instance that its own traffic never has.
func refuseTask(ctx context.Context, client aws.HTTPClient) error {
	uri := os.Getenv("ECS_CONTAINER_METADATA_URI_V4")
	if uri == "" {
		if strings.EqualFold(os.Getenv("AWS_EXECUTION_ENV"), "AWS_ECS_FARGATE") {
			return refusal("Fargate")
		}
		return nil
	}
	if client == nil {
		client = awshttp.NewBuildableClient()
	}
	var whole, own task
	if err := readTask(ctx, client, uri+"/task", &whole); err != nil {
		return err
	}
	if strings.EqualFold(whole.LaunchType, "FARGATE") {
		return refusal("Fargate")
	}
	if err := readTask(ctx, client, uri, &own); err != nil {
		return err
	}
	for _, n := range own.Networks {
		if strings.EqualFold(n.NetworkMode, "awsvpc") {
			return refusal("networkMode awsvpc")
		}
	}
	return nil
}

// refusal is the error of a task whose public address ECS manages; what names the kind of task.
func refusal(what string) error {
	return fmt.Errorf("%w (%s: ECS manages that interface, and gives it no public address that could be changed): %s", ErrTask, what, supportedTask)
}

// readTask reads the task's metadata from uri into into. It waits 5 s at most.
func readTask(ctx context.Context, client aws.HTTPClient, uri string, into *task) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, uri, nil)
	if err != nil {
		return fmt.Errorf("ECS_CONTAINER_METADATA_URI_V4: %w", err)
	}
	answer, err := client.Do(r)
	if err != nil {
		return fmt.Errorf("read the metadata of the ECS task: %w", err)
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return fmt.Errorf("read the metadata of the ECS task: %s answered %s", uri, answer.Status)
	}
	if err := json.NewDecoder(io.LimitReader(answer.Body, 1<<20)).Decode(into); err != nil {
		return fmt.Errorf("read the metadata of the ECS task: %w", err)
	}
	return nil
}
