package client

import (
	"context"
	"net/http"
	"strconv"
	"time"
)

// How long a command waits by itself when the gateway asks it to come back later.
const (
	longestWait = 5 * time.Second // a longer wait is the person's decision
	mostWaits   = 5
)

// patiently sends a request again when the answer is 429 with a short Retry-After (RFC 6585, section 4), so that a
// script that enrols a hundred devices need not pace itself. It also sends a POST again: the gateway asks for a longer
// wait where it has written something before it refused (errkind.Error.Wait). patiently gives the last answer, whatever
// its status.
func (c *Client) patiently(ctx context.Context, send func() (*http.Response, error)) (*http.Response, error) {
	for waits := 0; ; waits++ {
		resp, err := send()
		if err != nil {
			return nil, err
		}
		wait := retryAfter(resp)
		if wait == 0 || wait > longestWait || waits == mostWaits {
			return resp, nil
		}
		select {
		case <-time.After(wait):
			resp.Body.Close()
		case <-ctx.Done():
			return resp, nil
		}
	}
}

// retryAfter is how long a 429 asks to wait; 0: it does not ask, or the answer is another.
func retryAfter(resp *http.Response) time.Duration {
	if resp.StatusCode != http.StatusTooManyRequests {
		return 0
	}
	seconds, err := strconv.Atoi(resp.Header.Get("Retry-After"))
	if err != nil || seconds < 0 {
		return 0
	}
	return time.Duration(min(seconds, 3600)) * time.Second
}
