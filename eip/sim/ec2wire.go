package sim

import (
	"encoding/xml"
	"fmt"
	"net/http"
	"net/url"
	"time"
)

// apiError is an error answer of EC2.
type apiError struct {
	status        int
	code, message string
}

func (e *apiError) Error() string { return e.code + ": " + e.message }

// refuse is the error of a bad request: EC2's code, and its message in the form of fmt.Sprintf.
func refuse(code, message string, args ...any) *apiError {
	return &apiError{http.StatusBadRequest, code, fmt.Sprintf(message, args...)}
}

var (
	errThrottled = &apiError{http.StatusServiceUnavailable, "RequestLimitExceeded", "Request limit exceeded."}
	errInternal  = &apiError{http.StatusInternalServerError, "InternalError", "An internal error has occurred"}
	errDryRun    = &apiError{http.StatusPreconditionFailed, "DryRunOperation", "Request would have succeeded, but DryRun flag is set."}
)

// errDenied is the error of a caller whom no policy allows the action.
func errDenied(action string) *apiError {
	return &apiError{http.StatusForbidden, "UnauthorizedOperation",
		"You are not authorized to perform this operation. User: arn:aws:sts::123456789012:assumed-role/l4fwd/i-0 is not authorized to perform: ec2:" +
			action + " because no identity-based policy allows the ec2:" + action + " action"}
}

// answer is one call: latency, faults and limits around the action itself.
func (s *EC2) answer(r *http.Request) (int, string, []byte, error) {
	if err := r.ParseForm(); err != nil {
		return 0, "", nil, err
	}
	action := r.Form.Get("Action")
	s.mu.Lock()
	s.total++
	call := Call{Action: action, Interface: r.Form.Get("NetworkInterfaceId"), N: s.total}
	o := s.o
	s.mu.Unlock()
	half := time.Duration(0)
	if o.Latency != nil {
		half = o.Latency() / 2
	}
	time.Sleep(half)
	fault := NoFault
	if o.Fault != nil {
		fault = o.Fault(call)
	}
	body, err := s.decide(&o, fault, action, r.Form)
	time.Sleep(half)
	if ctxErr := r.Context().Err(); ctxErr != nil {
		return 0, "", nil, ctxErr
	}
	if fault == Unreachable || fault == LostResponse {
		return 0, "", nil, errBroken
	}
	return s.encode(action, body, err)
}

// decide lets the action happen unless something is against it.
func (s *EC2) decide(o *EC2Options, fault Fault, action string, form url.Values) (body any, err *apiError) {
	result := "ok"
	defer func() {
		if err != nil {
			result = err.code
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		s.calls[action+" "+result]++
	}()
	if fault == Unreachable {
		result = "unreachable"
		return nil, nil
	}
	if err := o.refusal(fault, action, form); err != nil {
		return nil, err
	}
	body, err = s.act(o, action, form)
	switch {
	case fault == InternalDone:
		return nil, errInternal
	case fault == LostResponse && err == nil:
		result = "lost"
	}
	return body, err
}

// refusal is what EC2 answers before it looks at what the action would do; nil: it does the action.
func (o *EC2Options) refusal(fault Fault, action string, form url.Values) *apiError {
	bucket := o.Buckets[action]
	if bucket == nil {
		bucket = o.Buckets[""]
	}
	switch {
	case fault == Internal:
		return errInternal
	case fault == Throttle, bucket != nil && !bucket.Take():
		return errThrottled
	case o.Denied[action]:
		return errDenied(action)
	case form.Get("DryRun") == "true":
		return errDryRun
	}
	return nil
}

// act carries out an action and returns the body of the answer, or the error.
func (s *EC2) act(o *EC2Options, action string, form url.Values) (any, *apiError) {
	switch action {
	case "DescribeAddresses":
		return s.describeAddresses(o, form)
	case "AssociateAddress":
		return s.associateAddress(o, form)
	case "DisassociateAddress":
		return s.disassociateAddress(form)
	case "DescribeVpcEndpointConnections":
		return s.describeEndpoints(), nil
	}
	return nil, refuse("InvalidAction", "The action %s is not valid for this web service.", action)
}

type errorAnswer struct {
	XMLName   xml.Name `xml:"Response"`
	Code      string   `xml:"Errors>Error>Code"`
	Message   string   `xml:"Errors>Error>Message"`
	RequestID string   `xml:"RequestID"`
}

// encode returns the status, content type and XML of an answer.
func (s *EC2) encode(action string, body any, apiErr *apiError) (int, string, []byte, error) {
	const contentType = "text/xml;charset=UTF-8"
	if apiErr != nil {
		text, err := xml.Marshal(errorAnswer{Code: apiErr.code, Message: apiErr.message, RequestID: "simulated"})
		return apiErr.status, contentType, text, err
	}
	text, err := xml.Marshal(body)
	return http.StatusOK, contentType, text, err
}
