package client

import (
	"context"
	"net/http"
	"strconv"
	"time"
)

// Bounds of the waits that a command makes by itself when the gateway asks it to retry later.
const (
	longestWait = 3 * time.Second // the person decides on a longer wait, and where the gateway knows no rate (problem.LaterSeconds)
	mostWaits   = 5               // for each request
)

// patiently sends again when the answer is 429 with a short Retry-After (RFC 6585, 4): a script that enrols a hundred
// devices need not pace itself. A POST may be sent again too: the gateway asks for a longer wait where it has written
// something before it refused (errkind.Error.Wait). It gives the last answer, whatever it is.
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

// retryAfter gives the wait that an answer with status 429 asks for; 0 for other answers or without a Retry-After in
// seconds. It is an hour at most.
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
