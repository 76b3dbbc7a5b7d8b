package standin

// The shapes on the wire, with the fields in the service's order, which is the alphabet's.

// modelName is the model behind every deployment, and fingerprint its build.
const (
	modelName   = "gpt-4o-2024-11-20"
	fingerprint = "fp_ee1d74bde0"
)

// completion is a whole answer.
type completion struct {
	Choices             []choice       `json:"choices"`
	Created             int64          `json:"created"` // Unix seconds
	ID                  string         `json:"id"`
	Model               string         `json:"model"`
	Object              string         `json:"object"`
	PromptFilterResults []promptFilter `json:"prompt_filter_results"`
	SystemFingerprint   string         `json:"system_fingerprint"`
	Usage               usage          `json:"usage"`
}

type choice struct {
	ContentFilterResults filterResults `json:"content_filter_results"`
	FinishReason         string        `json:"finish_reason"`
	Index                int           `json:"index"`
	Logprobs             *struct{}     `json:"logprobs"` // always null
	Message              message       `json:"message"`
}

type message struct {
	Content string  `json:"content"`
	Refusal *string `json:"refusal"`
	Role    string  `json:"role"`
}

// chunk is one event of a stream.
type chunk struct {
	Choices             []chunkChoice  `json:"choices"`
	Created             int64          `json:"created"`
	ID                  string         `json:"id"`
	Model               string         `json:"model"`
	Object              string         `json:"object"`
	PromptFilterResults []promptFilter `json:"prompt_filter_results,omitempty"`
	SystemFingerprint   string         `json:"system_fingerprint,omitempty"`
	Usage               *usage         `json:"usage,omitempty"`
}

type chunkChoice struct {
	ContentFilterResults filterResults `json:"content_filter_results"`
	Delta                delta         `json:"delta"`
	FinishReason         *string       `json:"finish_reason"`
	Index                int           `json:"index"`
	Logprobs             *struct{}     `json:"logprobs"`
}

// delta is empty in the last choice of a stream, has a role in the first and content in those between.
type delta struct {
	Content *string `json:"content,omitempty"`
	Role    string  `json:"role,omitempty"`
}

type usage struct {
	CompletionTokens int `json:"completion_tokens"`
	PromptTokens     int `json:"prompt_tokens"`
	TotalTokens      int `json:"total_tokens"`
}

// filterResults maps a category of Azure's content filter to its verdict; empty where there is no content.
type filterResults map[string]filterVerdict

type filterVerdict struct {
	Filtered bool   `json:"filtered"`
	Severity string `json:"severity"`
}

type promptFilter struct {
	PromptIndex          int           `json:"prompt_index"`
	ContentFilterResults filterResults `json:"content_filter_results"`
}

// harmless is the verdict on everything the stand-in is asked or says. Read only.
var harmless = filterResults{
	"hate":      {Severity: "safe"},
	"self_harm": {Severity: "safe"},
	"sexual":    {Severity: "safe"},
	"violence":  {Severity: "safe"},
}
