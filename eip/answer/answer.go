// Package answer tells what a service of AWS answered from what somebody said in its place, such as a proxy on the way. The
// SDK takes a page, or nothing at all, for an answer without content: an empty listing, an association that has no id, an
// action that was done.
package answer

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

// max is how many bytes of an answer are read: a listing has about 1 KiB an item.
const max = 32 << 20

// Service is how a service writes its answers, in XML. Each has the root element <Operation>Response.
type Service struct {
	Name   string // for people
	Result bool   // what it holds is in an element <Operation>Result, which is there even where it holds nothing
}

// Genuine makes an error of an answer that says success and is not one of the service. It is for the APIOptions of a client.
func (s Service) Genuine(stack *middleware.Stack) error {
	return stack.Deserialize.Add(middleware.DeserializeMiddlewareFunc("l4fwd:genuine", s.check), middleware.After)
}

// check turns an answer with a good status that is not one of the service, such as that of a proxy, into an error.
func (s Service) check(ctx context.Context, in middleware.DeserializeInput, next middleware.DeserializeHandler) (middleware.DeserializeOutput, middleware.Metadata, error) {
	out, metadata, err := next.HandleDeserialize(ctx, in)
	response, ok := out.RawResponse.(*smithyhttp.Response)
	if err != nil || !ok || response.StatusCode < http.StatusOK || response.StatusCode >= http.StatusMultipleChoices {
		return out, metadata, err
	}
	text, err := io.ReadAll(io.LimitReader(response.Body, max))
	if err != nil {
		return out, metadata, fmt.Errorf("read the answer: %w", err)
	}
	_ = response.Body.Close() // all of it was read
	response.Body = io.NopCloser(bytes.NewReader(text))
	root, children := outline(text)
	operation := middleware.GetOperationName(ctx)
	if root != operation+"Response" || s.Result && !children[operation+"Result"] {
		return out, metadata, fmt.Errorf("the answer is not of %s: it begins with %.40q", s.Name, strings.TrimSpace(string(text)))
	}
	return out, metadata, nil
}

// outline returns the name of the outermost element, empty where there is none, and those of the elements right below it.
func outline(text []byte) (root string, children map[string]bool) {
	children = make(map[string]bool)
	depth := 0
	for d := xml.NewDecoder(bytes.NewReader(text)); ; {
		token, err := d.Token()
		if err != nil {
			return root, children
		}
		switch element := token.(type) {
		case xml.StartElement:
			switch depth {
			case 0:
				root = element.Name.Local
			case 1:
				children[element.Name.Local] = true
			}
			depth++
		case xml.EndElement:
			depth--
		}
	}
}
