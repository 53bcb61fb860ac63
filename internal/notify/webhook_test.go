package notify

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

const secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw" // from the examples of the specification

func file(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, []byte(text+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// The example of https://github.com/standard-webhooks/standard-webhooks, by its reference libraries.
func TestSignatureIsThatOfTheSpecification(t *testing.T) {
	key, err := ParseSecret(secret)
	if err != nil {
		t.Fatal(err)
	}
	got := Sign(key, "msg_p5jXN8AQM9LWM0D4loKWxJek", time.Unix(1614265330, 0), []byte(`{"test": 2432232314}`))
	if want := "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// captured is one webhook as it arrived.
type captured struct {
	header http.Header
	body   []byte
}

func TestAWebhookThatIsReplayedOrAlteredIsRefused(t *testing.T) {
	came := make(chan captured, 1)
	srv := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		came <- captured{r.Header.Clone(), body}
	}))
	defer srv.Close()
	h, err := NewWebhook(WebhookConfig{Name: "ops", URL: srv.URL + "/x", SecretFile: file(t, secret)})
	if err != nil {
		t.Fatal(err)
	}
	now := sentAt
	h.now = func() time.Time { return now }
	key, _ := ParseSecret(secret)
	r := &Receiver{Key: key, Now: func() time.Time { return now }}
	if err := h.Send(t.Context(), "n1", []byte(`{"a":1}`)); err != nil {
		t.Fatal(err)
	}
	got := <-came
	check := func(what string, want error, change func(http.Header) string) {
		t.Helper()
		header, body := got.header.Clone(), string(got.body)
		if change != nil {
			body = change(header)
		}
		if _, err := r.Check(header, []byte(body)); !errors.Is(err, want) {
			t.Errorf("%s: got %v, want %v", what, err, want)
		}
	}
	check("an altered body", ErrUnsigned, func(http.Header) string { return `{"a":2}` })
	for _, name := range []string{HeaderID, HeaderTime, HeaderSignature} {
		check("no "+name, ErrUnsigned, func(h http.Header) string { h.Del(name); return `{"a":1}` })
	}
	check("another id", ErrUnsigned, func(h http.Header) string { h.Set(HeaderID, "n2"); return `{"a":1}` })
	check("another time", ErrUnsigned, func(h http.Header) string { h.Set(HeaderTime, "1772445601"); return `{"a":1}` })
	check("as it came, among signatures of other keys", nil, func(h http.Header) string {
		h.Set(HeaderSignature, "v1,AAAA "+h.Get(HeaderSignature))
		return `{"a":1}`
	})
	check("again", ErrRepeated, nil)
	now = now.Add(6 * time.Minute)
	check("later", ErrOld, nil)
	if err := h.Send(t.Context(), "n1", []byte(`{"a":1}`)); err != nil {
		t.Fatal(err)
	}
	got = <-came
	check("a second attempt, which is signed anew", ErrRepeated, nil)
	now = now.Add(-12 * time.Minute)
	check("from the future", ErrOld, nil)
}

func TestOnlyAnAnswerOfSuccessCounts(t *testing.T) {
	status, asked := 200, 0
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked++
		w.Header().Set("Location", "/elsewhere")
		w.WriteHeader(status)
		for range 1000 { // an answer of any length does not matter
			if _, err := w.Write(make([]byte, 64<<10)); err != nil {
				return
			}
		}
	}))
	defer srv.Close()
	h, err := NewWebhook(WebhookConfig{Name: "ops", URL: srv.URL + "/T000/secret"})
	if err != nil {
		t.Fatal(err)
	}
	for code, want := range map[int]string{200: "", 204: "", 301: "answered 301", 400: "answered 400", 410: "410 Gone", 503: "answered 503"} {
		status, asked = code, 0
		err := h.Send(t.Context(), "n1", []byte(`{}`))
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) || IsPermanent(err) != (code == 410) || asked != 1 {
			t.Errorf("%d: got %v after %d requests, want %q", code, err, asked, want)
		}
	}
	srv.Close()
	if err := h.Send(t.Context(), "n1", []byte(`{}`)); err == nil || IsPermanent(err) || strings.Contains(err.Error(), "secret") {
		t.Errorf("away: got %v, want an error without the path of the URL", err)
	}
}

func TestWebhookConfigurationIsChecked(t *testing.T) {
	good := "https://hooks.example/x"
	for name, c := range map[string]struct {
		in   WebhookConfig
		want string
	}{
		"http beyond here":         {WebhookConfig{URL: "http://hooks.example/x"}, "must begin with https"},
		"another scheme":           {WebhookConfig{URL: "file:///etc/passwd"}, "write one URL"},
		"a password in it":         {WebhookConfig{URL: "https://u:p@hooks.example/"}, "write one URL"},
		"no URL":                   {WebhookConfig{}, "write url or url_file"},
		"two URLs":                 {WebhookConfig{URL: good, URLFile: "/x"}, "write url or url_file"},
		"a URL's file with http":   {WebhookConfig{URLFile: file(t, "http://hooks.example/secret")}, "url_file must begin with https"},
		"a secret without whsec_":  {WebhookConfig{URL: good, SecretFile: file(t, "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")}, "whsec_"},
		"a secret that is short":   {WebhookConfig{URL: good, SecretFile: file(t, "whsec_c2hvcnQ=")}, "24 to 64"},
		"a secret that is missing": {WebhookConfig{URL: good, SecretFile: "/none"}, "secret_file"},
	} {
		_, err := NewWebhook(c.in)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want …%s…", name, err, c.want)
		}
		if err != nil && strings.Contains(err.Error(), "hooks.example/secret") {
			t.Errorf("%s: the error shows the secret URL: %v", name, err)
		}
	}
	if _, err := NewWebhook(WebhookConfig{URLFile: file(t, good), SecretFile: file(t, secret)}); err != nil {
		t.Error(err)
	}
}

func TestWebhooksDoNotReachLinkLocalAddresses(t *testing.T) {
	for address, want := range map[string]bool{"169.254.169.254:80": false, "[fe80::1]:443": false, "[::ffff:169.254.169.254]:80": false, "0.0.0.0:80": false,
		"224.0.0.1:80": false, "127.0.0.1:80": true, "10.0.0.7:443": true, "[2001:db8::1]:443": true} {
		if err := refuseLinkLocal("tcp", address, nil); (err == nil) != want {
			t.Errorf("%s: got %v, want reachable %v", address, err, want)
		}
	}
	h, err := NewWebhook(WebhookConfig{Name: "ops", URL: "https://169.254.169.254/latest"})
	if err != nil {
		t.Fatal(err)
	}
	if err := h.Send(t.Context(), "n1", []byte(`{}`)); err == nil || !strings.Contains(err.Error(), "link-local") {
		t.Errorf("got %v", err)
	}
}
