package client

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/sallyport/sallyport/internal/errkind"
	"github.com/sallyport/sallyport/web/apitype"
)

// signInTime is how long a person may take in the browser.
const signInTime = 10 * time.Minute

// came is what the browser brought to the loopback address.
type came struct{ code, problem string }

// SignIn signs in through a browser on this machine: the gateway sends it to a loopback address with a code, which is worth
// something only together with the verifier kept here (RFC 8252, PKCE). Visit is called with the address to open.
func (c *Client) SignIn(ctx context.Context, provider string, again bool, visit func(address string)) (apitype.CLIToken, error) {
	var out apitype.CLIToken
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return out, errkind.New(errkind.Unavailable, "no local address for the browser to come back to: "+err.Error()).WithHint("Use `sallyport login --device`.")
	}
	verifier, state := secret(), secret()
	sum := sha256.Sum256([]byte(verifier))
	q := url.Values{"challenge": {base64.RawURLEncoding.EncodeToString(sum[:])}, "state": {state}, "redirect": {"http://" + ln.Addr().String() + "/callback"}}
	if provider != "" {
		q.Set("provider", provider)
	}
	if again {
		q.Set("again", "1")
	}
	got := make(chan came, 1)
	srv := &http.Server{Handler: callback(state, got), ReadHeaderTimeout: 10 * time.Second}
	served := make(chan struct{})
	go func() { defer close(served); srv.Serve(ln) }()
	visit(c.base.String() + "/login/cli?" + q.Encode())
	ctx, cancel := context.WithTimeout(ctx, signInTime)
	defer cancel()
	var answer came
	select {
	case answer = <-got:
	case <-ctx.Done():
		err = errkind.New(errkind.Signin, "nobody signed in").WithHint("Run `sallyport login` again.").Because(ctx.Err())
	}
	bye, stop := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second) // let the browser get its page
	defer stop()
	srv.Shutdown(bye)
	<-served
	switch {
	case err != nil:
		return out, err
	case answer.problem != "":
		return out, errkind.New(errkind.Signin, "the sign-in was not given: "+answer.problem).WithHint("Run `sallyport login` again.")
	}
	return out, c.Post(ctx, "/api/v1/login/cli/token", apitype.CLICode{Code: answer.code, Verifier: verifier}, &out)
}

// CheckProvider refuses the name of a provider that the gateway does not have. The browser would only offer another one.
func (c *Client) CheckProvider(ctx context.Context, name string) error {
	var s apitype.SignIn
	if err := c.Get(ctx, "/api/v1/signin", nil, &s); err != nil {
		return err
	}
	var names []string
	for _, p := range s.Providers {
		if p.Name == name {
			return nil
		}
		names = append(names, p.Name)
	}
	return errkind.New(errkind.Usage, fmt.Sprintf("%s has no identity provider of the name %q", c.base.Host, name)).
		WithHint("It has: " + strings.Join(names, ", ") + ".")
}

// callback takes the browser's one visit. Others, and visits without our state, are turned away.
func callback(state string, got chan<- came) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /callback", func(w http.ResponseWriter, r *http.Request) {
		q := r.URL.Query()
		if subtle.ConstantTimeCompare([]byte(q.Get("state")), []byte(state)) != 1 {
			http.Error(w, "This is not the sign-in that was begun here.", http.StatusBadRequest)
			return
		}
		answer := came{q.Get("code"), q.Get("error")}
		if answer.code == "" && answer.problem == "" {
			answer.problem = "no code came"
		}
		select {
		case got <- answer:
		default: // a reload
		}
		h := w.Header()
		h.Set("Content-Type", "text/plain; charset=utf-8")
		h.Set("Content-Security-Policy", "default-src 'none'")
		h.Set("Referrer-Policy", "no-referrer")
		if answer.problem != "" {
			io.WriteString(w, "Not signed in. The terminal says why.\n")
			return
		}
		io.WriteString(w, "Signed in. You can close this window and go on in the terminal.\n")
	})
	return mux
}

// SignInByCode signs in with a browser anywhere: a person types a short code there. Tell is called with what to show.
func (c *Client) SignInByCode(ctx context.Context, tell func(apitype.DeviceStart)) (apitype.CLIToken, error) {
	var out apitype.CLIToken
	var start apitype.DeviceStart
	if err := c.Post(ctx, "/api/v1/login/device", struct{}{}, &start); err != nil {
		return out, err
	}
	tell(start)
	every := time.Duration(max(start.Interval, 1)) * time.Second
	ctx, cancel := context.WithTimeout(ctx, time.Duration(start.ExpiresIn)*time.Second+time.Minute)
	defer cancel()
	for {
		select {
		case <-ctx.Done():
			return out, errkind.New(errkind.Signin, "nobody signed in with the code in time").WithHint("Run `sallyport login --device` again.").Because(ctx.Err())
		case <-time.After(every):
		}
		done, wait, err := c.askDevice(ctx, start.DeviceCode, &out)
		if err != nil || done {
			return out, err
		}
		every = max(every, time.Duration(wait.Interval)*time.Second)
	}
}

func (c *Client) askDevice(ctx context.Context, code string, out *apitype.CLIToken) (done bool, wait apitype.DeviceWait, err error) {
	resp, err := c.send(ctx, http.MethodPost, "/api/v1/login/device/token", apitype.DeviceAsk{DeviceCode: code})
	if err != nil {
		return false, wait, err
	}
	defer resp.Body.Close()
	body := json.NewDecoder(io.LimitReader(resp.Body, 1<<20))
	if resp.StatusCode == http.StatusAccepted {
		err = body.Decode(&wait)
	} else {
		done, err = true, body.Decode(out)
	}
	if err != nil {
		return false, wait, fmt.Errorf("sign in: %w", err)
	}
	return done, wait, nil
}

// SignOut ends the sign-in at the gateway.
func (c *Client) SignOut(ctx context.Context) error {
	return c.Post(ctx, "/logout", struct{}{}, nil)
}

func secret() string {
	b := make([]byte, 32)
	rand.Read(b) // never fails
	return base64.RawURLEncoding.EncodeToString(b)
}
