package client

import (
	"bytes"
	"io"
	"net/http"
	"net/url"
	"testing"

	"github.com/sallyport/sallyport/internal/errkind"
	"github.com/sallyport/sallyport/web/apitype"
)

// FuzzRefusal: a gateway's refusal, whatever it is, is an error with a text.
func FuzzRefusal(f *testing.F) {
	f.Add(403, []byte(`{"detail":"no","hint":"ask","reason":"denied"}`))
	f.Add(502, []byte(`<html>`))
	f.Add(200, []byte(`{"detail":7}`))
	c := &Client{base: &url.URL{Host: "gw.example"}}
	f.Fuzz(func(t *testing.T, status int, body []byte) {
		err := c.refusal(&http.Response{StatusCode: status, Status: "x", Header: http.Header{},
			Body: io.NopCloser(bytes.NewReader(body))}, status%2 == 0)
		if text, _, _ := errkind.ForPeople(err); err == nil || text == "" {
			t.Errorf("%d %q: got %v", status, body, err)
		}
	})
}

// FuzzShow: output goes where its first byte says, as it came.
func FuzzShow(f *testing.F) {
	f.Add([]byte{apitype.StreamOut, 'x'})
	f.Add([]byte{apitype.StreamErr})
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, msg []byte) {
		var out, errs bytes.Buffer
		if err := show(msg, &out, &errs); err != nil {
			t.Fatal(err)
		}
		to, other := &out, &errs
		if len(msg) > 0 && msg[0] == apitype.StreamErr {
			to, other = &errs, &out
		}
		if other.Len() > 0 || len(msg) > 0 && !bytes.Equal(to.Bytes(), msg[1:]) {
			t.Errorf("%q: got %q and %q", msg, out.Bytes(), errs.Bytes())
		}
	})
}
