package eip

import (
	"bytes"
	"context"
	"encoding/xml"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/aws/smithy-go/middleware"
	smithyhttp "github.com/aws/smithy-go/transport/http"
)

// maxAnswer is how many bytes of an answer are read: a listing has about 1 KiB an address.
const maxAnswer = 32 << 20

// genuine makes an error of an answer that says success and is not one of EC2, such as the page of a proxy. The SDK takes
// that, or nothing at all, for an answer without content: an empty listing, or an association that has no id.
func genuine(stack *middleware.Stack) error {
	return stack.Deserialize.Add(middleware.DeserializeMiddlewareFunc("l4fwd:genuine", checkGenuine), middleware.After)
}

func checkGenuine(ctx context.Context, in middleware.DeserializeInput, next middleware.DeserializeHandler) (middleware.DeserializeOutput, middleware.Metadata, error) {
	out, metadata, err := next.HandleDeserialize(ctx, in)
	response, ok := out.RawResponse.(*smithyhttp.Response)
	if err != nil || !ok || response.StatusCode != http.StatusOK {
		return out, metadata, err
	}
	text, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer))
	if err != nil {
		return out, metadata, fmt.Errorf("read the answer: %w", err)
	}
	_ = response.Body.Close() // all of it was read
	response.Body = io.NopCloser(bytes.NewReader(text))
	if root := rootOf(text); root != middleware.GetOperationName(ctx)+"Response" {
		return out, metadata, fmt.Errorf("the answer is not of EC2: it begins with %.40q", strings.TrimSpace(string(text)))
	}
	return out, metadata, nil
}

// rootOf returns the name of the outermost element, empty where there is none.
func rootOf(text []byte) string {
	for d := xml.NewDecoder(bytes.NewReader(text)); ; {
		token, err := d.Token()
		if err != nil {
			return ""
		}
		if root, ok := token.(xml.StartElement); ok {
			return root.Name.Local
		}
	}
}
