package main

import (
	"bufio"
	"context"
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"
)

// started is the program's run on a port of its own.
func started(t *testing.T, args ...string) (issuer string, tell io.Writer) {
	t.Helper()
	o, err := readFlags(append([]string{"-secret", "a secret", "-redirect", "http://127.0.0.1:1/callback"}, args...))
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	in, tell := io.Pipe()
	out, say := io.Pipe()
	done := make(chan error, 1)
	go func() { done <- run(ctx, &o, in, say) }()
	t.Cleanup(func() {
		stop()
		in.Close()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	var said struct{ Issuer string }
	line, err := bufio.NewReader(out).ReadBytes('\n')
	if err != nil || json.Unmarshal(line, &said) != nil {
		t.Fatalf("got %q, %v", line, err)
	}
	return said.Issuer, tell
}

// code goes through dex's pages as far as the redirect URI.
func code(t *testing.T, issuer, name string) string {
	t.Helper()
	c := &http.Client{Timeout: 10 * time.Second, CheckRedirect: func(r *http.Request, _ []*http.Request) error {
		if r.URL.Path == "/callback" {
			return http.ErrUseLastResponse
		}
		return nil
	}}
	q := url.Values{"client_id": {"sallyport"}, "redirect_uri": {"http://127.0.0.1:1/callback"},
		"response_type": {"code"}, "state": {"s"},
		"scope": {"openid profile email groups offline_access"}}
	res, err := c.Get(issuer + "/auth?" + q.Encode())
	for err == nil && res.StatusCode == http.StatusOK {
		page, _ := io.ReadAll(res.Body)
		_, link, ok := strings.Cut(string(page), `<a href="`)
		for ok && !strings.Contains(link[:strings.Index(link, "<")], ">"+name) {
			_, link, ok = strings.Cut(link, `<a href="`)
		}
		if !ok {
			t.Fatalf("no link for %s:\n%s", name, page)
		}
		to, perr := res.Request.URL.Parse(strings.ReplaceAll(link[:strings.Index(link, `"`)], "&amp;", "&"))
		if perr != nil {
			t.Fatal(perr)
		}
		res, err = c.Get(to.String())
	}
	if err != nil {
		t.Fatal(err)
	}
	u, err := res.Location()
	if err != nil || u.Query().Get("code") == "" {
		t.Fatalf("got %v (%d), %v", u, res.StatusCode, err)
	}
	return u.Query().Get("code")
}

type tokens struct {
	ID      string `json:"id_token"`
	Refresh string `json:"refresh_token"`
}

func exchange(t *testing.T, issuer string, form url.Values) (got tokens, claims map[string]any) {
	t.Helper()
	req, _ := http.NewRequest(http.MethodPost, issuer+"/token", strings.NewReader(form.Encode()))
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.SetBasicAuth("sallyport", url.QueryEscape("a secret"))
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if err := json.NewDecoder(res.Body).Decode(&got); err != nil || res.StatusCode != http.StatusOK {
		t.Fatalf("token: got %d, %v", res.StatusCode, err)
	}
	body, err := base64.RawURLEncoding.DecodeString(strings.Split(got.ID, ".")[1])
	if err != nil || json.Unmarshal(body, &claims) != nil {
		t.Fatalf("id token: %q, %v", got.ID, err)
	}
	return got, claims
}

func TestDexSignsEachPersonInAndReadsGroupsAgain(t *testing.T) {
	issuer, tell := started(t, "-person", "tess=service,night", "-person", "ada=it")
	first, claims := exchange(t, issuer, url.Values{"grant_type": {"authorization_code"},
		"code": {code(t, issuer, "tess")}, "redirect_uri": {"http://127.0.0.1:1/callback"}})
	if groups := claims["groups"].([]any); claims["name"] != "tess" ||
		!slices.Equal(groups, []any{"service", "night"}) || first.Refresh == "" {
		t.Errorf("got %v", claims)
	}
	if _, claims := exchange(t, issuer, url.Values{"grant_type": {"authorization_code"},
		"code": {code(t, issuer, "ada")}, "redirect_uri": {"http://127.0.0.1:1/callback"}}); claims["name"] != "ada" {
		t.Errorf("got %v", claims)
	}
	io.WriteString(tell, "tess=night\n")
	io.WriteString(tell, "ada=it\n") // taken only when the line before has been read
	if _, claims := exchange(t, issuer, url.Values{"grant_type": {"refresh_token"},
		"refresh_token": {first.Refresh}}); !slices.Equal(claims["groups"].([]any), []any{"night"}) {
		t.Errorf("refreshed: got %v", claims)
	}
}

func TestDexListensOnLoopbackOnlyAndNeedsAClient(t *testing.T) {
	all := []string{"-secret", "s", "-redirect", "http://127.0.0.1:1/callback", "-person", "tess=a"}
	for name, args := range map[string][]string{
		"every address":  append([]string{"-listen", "0.0.0.0:0"}, all...),
		"no person":      all[:4],
		"no secret":      all[2:],
		"a person alone": {"-person", "tess"},
	} {
		if _, err := readFlags(args); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

func TestDexServesTLSWithTheGivenCertificate(t *testing.T) {
	cert, key, roots := certificate(t)
	issuer, _ := started(t, "-person", "tess=service", "-tls-cert", cert, "-tls-key", key)
	c := &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{TLSClientConfig: roots}}
	res, err := c.Get(issuer + "/.well-known/openid-configuration")
	if err != nil || res.StatusCode != http.StatusOK || !strings.HasPrefix(issuer, "https://") {
		t.Fatalf("%s: got %v, %v", issuer, res, err)
	}
	var m struct {
		Scopes []string `json:"scopes_supported"`
	}
	if err := json.NewDecoder(res.Body).Decode(&m); err != nil || !slices.Contains(m.Scopes, "groups") {
		t.Errorf("got %+v, %v", m, err)
	}
}
