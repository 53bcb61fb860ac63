package client

import (
	"context"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestAShortWaitIsWaitedALongOneIsSaid(t *testing.T) {
	for name, want := range map[string]struct {
		answers []string // "429 2" asks to wait 2 s, "200" is an answer
		sent    int
		waited  time.Duration
		status  int
	}{
		"an answer":                     {answers: []string{"200"}, sent: 1, status: 200},
		"a wait, then an answer":        {answers: []string{"429 2", "200"}, sent: 2, waited: 2 * time.Second, status: 200},
		"as long as is waited":          {answers: []string{"429 5", "200"}, sent: 2, waited: 5 * time.Second, status: 200},
		"too long":                      {answers: []string{"429 6", "200"}, sent: 1, status: 429},
		"longer than a Duration can be": {answers: []string{"429 99999999999999", "200"}, sent: 1, status: 429},
		"without a time":                {answers: []string{"429", "200"}, sent: 1, status: 429},
		"again and again":               {answers: []string{"429 1"}, sent: 6, waited: 5 * time.Second, status: 429},
		"not the gateway's 429":         {answers: []string{"503 1", "200"}, sent: 1, status: 503},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				sent, began := 0, time.Now()
				resp, err := (&Client{}).patiently(t.Context(), func() (*http.Response, error) {
					sent++
					return answered(want.answers[min(sent, len(want.answers))-1]), nil
				})
				if err != nil || resp.StatusCode != want.status || sent != want.sent || time.Since(began) != want.waited {
					t.Errorf("got status %d after %d requests and %s (error %v), want %+v", resp.StatusCode, sent, time.Since(began), err, want)
				}
			})
		})
	}
}

func TestAWaitEndsWithItsCommand(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		began := time.Now()
		resp, err := (&Client{}).patiently(ctx, func() (*http.Response, error) { return answered("429 5"), nil })
		if err != nil || resp.StatusCode != http.StatusTooManyRequests || time.Since(began) != time.Second {
			t.Errorf("got %v, error %v after %s; want the refusal as soon as the command ends", resp, err, time.Since(began))
		}
	})
}

func answered(text string) *http.Response {
	status, wait, told := strings.Cut(text, " ")
	resp := &http.Response{StatusCode: map[string]int{"200": 200, "429": 429, "503": 503}[status], Header: http.Header{},
		Body: io.NopCloser(strings.NewReader(""))}
	if told {
		resp.Header.Set("Retry-After", wait)
	}
	return resp
}
