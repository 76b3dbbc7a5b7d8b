package standin

import (
	"context"
	"math/rand/v2"
	"strings"
	"time"
)

// text is what the stand-in has to say.
const text = "Hello from the stand-in for Azure OpenAI. Your TLS session ends here, with me: whatever carried it " +
	"saw only ciphertext, and could neither read this sentence nor change it. Each of these tokens travelled as a small " +
	"record of its own, a few hundred bytes every few hundredths of a second, which is what a relay in front of " +
	"a language model carries all day."

// vocabulary is text in pieces much like a model's tokens: words that bring their leading space, and marks.
var vocabulary = split(text)

// split cuts before each space and each mark; joined, the pieces are s again.
func split(s string) []string {
	var tokens []string
	for s != "" {
		end := strings.IndexAny(s[1:], " .,:") + 1
		if end == 0 {
			end = len(s)
		}
		tokens, s = append(tokens, s[:end]), s[end:]
	}
	return tokens
}

// token is the i-th of an endless answer, which repeats the text.
func token(i int) string {
	t := vocabulary[i%len(vocabulary)]
	if i > 0 && i%len(vocabulary) == 0 {
		return " " + t // the first word lacks the space that parts it from the round before
	}
	return t
}

// answer is the first n tokens in one piece.
func answer(n int) string {
	var b strings.Builder
	for i := range n {
		b.WriteString(token(i))
	}
	return b.String()
}

// jitter is how far one pause may be off the mean, as a part of it: 32 ms become 25.6 to 38.4 ms.
const jitter = 0.2

// pause waits about mean, or until ctx ends, whose error it then returns. A mean of zero or below does not wait.
func pause(ctx context.Context, mean time.Duration) error {
	if mean <= 0 {
		return ctx.Err()
	}
	t := time.NewTimer(time.Duration(float64(mean) * (1 - jitter + 2*jitter*rand.Float64())))
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
