package standin

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"
)

func TestAnswersThatAreNotTheService(t *testing.T) {
	for _, tc := range []struct {
		answer Answer
		status int
		body   string // a part of it
		size   int    // 0: any
	}{
		{AnswerNotFound, 404, "Resource not found", 0},
		{AnswerThrottle, 429, "Please retry after 60 seconds", 0},
		{AnswerBroken, 500, "InternalServerError", 0},
		{AnswerRedirect, 301, "", 0},
		{AnswerLarge, 200, "xxx", largeBody},
		{AnswerHTTP10, 401, "Access denied due to invalid subscription key", 0},
	} {
		t.Run(string(tc.answer), func(t *testing.T) {
			s := start(t, Options{Answer: tc.answer})
			c := client(t, s, s.Addr().String(), false)
			c.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
			resp, err := c.Get("https://" + Name + "/")
			if err != nil {
				t.Fatal(err)
			}
			body := readAll(t, resp)
			resp.Body.Close()
			if resp.StatusCode != tc.status || !strings.Contains(body, tc.body) || tc.size > 0 && len(body) != tc.size {
				t.Errorf("%d with %d bytes: %.100s", resp.StatusCode, len(body), body)
			}
			if old := resp.Proto == "HTTP/1.0"; old != (tc.answer == AnswerHTTP10) {
				t.Errorf("speaks %s", resp.Proto)
			}
		})
	}
}

func TestTheFirewallComesFirst(t *testing.T) {
	s := start(t, Options{Deny: true, Answer: AnswerBroken})
	resp, err := client(t, s, s.Addr().String(), false).Get("https://" + Name + "/")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != 403 {
		t.Errorf("status %d", resp.StatusCode)
	}
}

func TestAStalledAnswerSendsHalf(t *testing.T) {
	s := start(t, Options{Answer: AnswerStalled})
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://"+Name+"/", nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := client(t, s, s.Addr().String(), false).Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if len(body) != 50 || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("%d bytes, %v", len(body), err)
	}
}

func TestUnknownAnswersAreRefused(t *testing.T) {
	if _, err := Start(Options{Answer: "418"}); err == nil || !strings.Contains(err.Error(), "allowed are") {
		t.Errorf("%v", err)
	}
}
