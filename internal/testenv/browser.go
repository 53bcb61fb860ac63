package testenv

import (
	"html"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"
)

// Browser is what sign-in needs of one: it keeps cookies, follows redirects and submits the forms of pages. At, Status, Head
// and Body are of the page that it shows.
type Browser struct {
	*http.Client
	At     *url.URL
	Status int
	Head   http.Header
	Body   string

	t testing.TB
}

// NewBrowser gives one without cookies.
func NewBrowser(t testing.TB) *Browser {
	jar, _ := cookiejar.New(nil)
	return &Browser{t: t, Client: &http.Client{Jar: jar, Timeout: 10 * time.Second}}
}

// Open goes to an address.
func (b *Browser) Open(address string) *Browser {
	b.t.Helper()
	return b.Took(b.Get(address))
}

// Took shows the answer to a request that was made by hand.
func (b *Browser) Took(res *http.Response, err error) *Browser {
	b.t.Helper()
	if err != nil {
		b.t.Fatal(err)
	}
	defer res.Body.Close()
	raw, err := io.ReadAll(res.Body)
	if err != nil {
		b.t.Fatal(err)
	}
	b.At, b.Status, b.Head, b.Body = res.Request.URL, res.StatusCode, res.Header, string(raw)
	return b
}

var (
	formAction = regexp.MustCompile(`<form[^>]* action="([^"]*)"`)
	formHidden = regexp.MustCompile(`<input type="hidden" name="([^"]*)" value="([^"]*)" ?/?>`)
)

// Submit sends the page's form with its hidden fields and with pairs of name and value, as a person would.
func (b *Browser) Submit(pairs ...string) *Browser {
	b.t.Helper()
	m := formAction.FindStringSubmatch(b.Body)
	if m == nil {
		b.t.Fatalf("no form at %s (%d):\n%s", b.At, b.Status, b.Body)
	}
	form := url.Values{}
	for _, h := range formHidden.FindAllStringSubmatch(b.Body, -1) {
		form.Set(h[1], html.UnescapeString(h[2]))
	}
	for i := 0; i+1 < len(pairs); i += 2 {
		form.Set(pairs[i], pairs[i+1])
	}
	to, err := b.At.Parse(html.UnescapeString(m[1]))
	if err != nil {
		b.t.Fatal(err)
	}
	req, err := http.NewRequest(http.MethodPost, to.String(), strings.NewReader(form.Encode()))
	if err != nil {
		b.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("Sec-Fetch-Site", map[bool]string{true: "same-origin", false: "cross-site"}[to.Host == b.At.Host])
	return b.Took(b.Do(req))
}
