package node

import (
	"io"
	"net/http"
	"time"
)

// bodyTime bounds how long a request's body may take. A server's own timeouts end with the headers: without this one, whoever
// announces a body and sends none holds a connection and a goroutine for ever, also where the handler never looks at it,
// because the server wants to read the rest before it answers.
const bodyTime = 10 * time.Second

// bounded lets no request's body come for longer than bodyTime. A request that upgrades has none.
func bounded(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.ContentLength != 0 {
			c := http.NewResponseController(w)
			c.SetReadDeadline(time.Now().Add(bodyTime))
			r.Body = &timedBody{r.Body, c}
		}
		next.ServeHTTP(w, r)
	})
}

// timedBody lifts the bound when the body is here: what the handler does then may take longer.
type timedBody struct {
	io.ReadCloser
	c *http.ResponseController
}

func (b *timedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if err == io.EOF {
		b.c.SetReadDeadline(time.Time{})
	}
	return n, err
}
