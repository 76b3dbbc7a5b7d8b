package standin

import (
	"encoding/json"
	"net/http"
	"strconv"
)

// The gateway's refusals, byte for byte: which keys have a space after the colon and which have none is
// the service's own doing. The first three are quoted in the project's facts; probes match on them.
const (
	bodyUnauthorized = `{"error":{"code":"401","message":"Access denied due to invalid subscription key or wrong API endpoint. ` +
		`Make sure to provide a valid key for an active subscription and use a correct regional API endpoint for your resource."}}`
	bodyFirewall = `{"error":{"code":"403","message": "Access denied due to Virtual Network/Firewall rules."}}`
	bodyDisabled = `{"error":{"code":"403","message": "Public access is disabled. Please configure private endpoint."}}`
	// The words are those of Azure Storage: how Azure OpenAI refuses here is not documented.
	bodyPerimeter    = `{"error":{"code":"403","message": "This request is not authorized by network security perimeter to perform this operation."}}`
	bodyNotFound     = `{"error":{"code":"404","message": "Resource not found"}}`
	bodyNoDeployment = `{"error":{"code":"DeploymentNotFound","message":"The API deployment for this resource does not exist. ` +
		`If you created the deployment within the last 5 minutes, please wait a moment and try again."}}`
	bodyTooLarge = `{"error":{"code":"413","message": "Request Entity Too Large"}}`
)

// fault is what is wrong with a request that passed the gateway: the model's own way to say no.
type fault struct {
	Message string  `json:"message"`
	Type    string  `json:"type"`
	Param   *string `json:"param"`
	Code    *string `json:"code"`
}

// badRequest is a fault of the request. param names the field at fault, "" the whole.
func badRequest(param, message string) *fault {
	f := &fault{Message: message, Type: "invalid_request_error"}
	if param != "" {
		f.Param = &param
	}
	return f
}

// body is indented and ends in a newline, unlike the gateway's refusals: the service passes on what the model
// answered.
func (f *fault) body() []byte {
	b, err := json.MarshalIndent(map[string]*fault{"error": f}, "", "  ")
	if err != nil {
		return nil // four strings always marshal
	}
	return append(b, '\n')
}

// refuse answers status with a gateway's body.
func (h *handler) refuse(w http.ResponseWriter, status int, body string) {
	h.respond(w, status, []byte(body))
}

// respond answers with a whole JSON body of known length. It takes body over.
func (h *handler) respond(w http.ResponseWriter, status int, body []byte) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(status)
	_, _ = w.Write(body) // a client that is gone needs no answer
}
