package standin

import (
	"encoding/json"
	"net/http"
	"time"
)

// modelList is the answer to a request for the account's models, with the service's fields in the service's order.
type modelList struct {
	Data   []model `json:"data"`
	Object string  `json:"object"`
}

type model struct {
	Capabilities    capabilities `json:"capabilities"`
	CreatedAt       int64        `json:"created_at"` // Unix seconds
	ID              string       `json:"id"`
	LifecycleStatus string       `json:"lifecycle_status"`
	Object          string       `json:"object"`
	Status          string       `json:"status"`
}

type capabilities struct {
	ChatCompletion bool `json:"chat_completion"`
	Completion     bool `json:"completion"`
	Embeddings     bool `json:"embeddings"`
	FineTune       bool `json:"fine_tune"`
	Inference      bool `json:"inference"`
}

// modelCreated is the day of modelName's version.
var modelCreated = time.Date(2024, time.November, 20, 0, 0, 0, 0, time.UTC)

// models is modelsV1 in the dated API.
func (h *handler) models(w http.ResponseWriter, r *http.Request) {
	if r.URL.Query().Get("api-version") == "" {
		h.refuse(w, http.StatusNotFound, bodyNotFound)
		return
	}
	h.modelsV1(w, r)
}

// modelsV1 lists the one model behind every deployment. It is the cheapest request that a valid key turns into a 200,
// so documents and people use it to test a path.
func (h *handler) modelsV1(w http.ResponseWriter, _ *http.Request) {
	body, err := json.Marshal(modelList{Object: "list", Data: []model{{
		Capabilities: capabilities{ChatCompletion: true, Inference: true},
		CreatedAt:    modelCreated.Unix(), ID: modelName, LifecycleStatus: "generally-available", Object: "model", Status: "succeeded",
	}}})
	if err != nil {
		panic(err) // strings, numbers and booleans always marshal
	}
	h.respond(w, http.StatusOK, body)
}
