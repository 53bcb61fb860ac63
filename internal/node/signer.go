package node

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/netip"
	"net/url"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/sallyport/sallyport/internal/config"
	"github.com/sallyport/sallyport/internal/errkind"
	"github.com/sallyport/sallyport/internal/idp"
	"github.com/sallyport/sallyport/internal/oidcauth"
	"github.com/sallyport/sallyport/internal/readfile"
	"github.com/sallyport/sallyport/internal/signer"
	"github.com/sallyport/sallyport/internal/wire"
)

// Signer is the signer's process: the signer, and the built-in provider if there is one. It reads the gateway's own
// configuration, and of the gateway's files nothing.
type Signer struct {
	cfg  *config.Config
	uid  int
	log  *slog.Logger
	own  *signer.Service
	idp  *idp.Provider
	pipe *logoutPipe
	key  string // the gateway's secret as the provider's client
}

// OpenSigner opens the directory of [signer] dir.
func OpenSigner(ctx context.Context, c *config.Config, log *slog.Logger) (*Signer, error) {
	if c.Signer.Socket == "" {
		return nil, errkind.New(errkind.Usage, "[signer] socket is missing: the signer is then part of `sallyport serve`").
			WithHint("Write socket = \"/run/sallyport/signer.sock\" to run it as a process of its own.")
	}
	if err := noCoreDumps(false); err != nil {
		return nil, err
	}
	s := &Signer{cfg: c, log: log, pipe: &logoutPipe{waiting: make(chan told)}}
	var err error
	if s.uid, err = userID(c.Signer.GatewayUser); err != nil {
		return nil, err
	}
	if err := notLost(c); err != nil {
		return nil, err
	}
	if err := checkData(c.Signer.Dir, "[signer] dir", false); err != nil {
		return nil, err
	}
	if err := clockStands(time.Now()); err != nil {
		return nil, err
	}
	set, err := s.providers()
	if err != nil {
		return nil, err
	}
	u, err := url.Parse(c.Site.URL)
	if err != nil {
		return nil, err
	}
	if s.own, err = signer.New(SignerConfig(c, hostPort(u), wire.Hash{}, set, log)); err != nil {
		return nil, err
	}
	files, err := PolicyFiles(c)
	if err == nil {
		err = s.own.Seed(ctx, files, nil)
	}
	if err == nil {
		err = s.own.Configure(ctx, mappings(c))
	}
	if err != nil {
		return nil, errors.Join(err, s.own.Close())
	}
	return s, nil
}

// userID finds a user by name or number.
func userID(name string) (int, error) {
	if n, err := strconv.Atoi(name); err == nil && n >= 0 {
		return n, nil
	}
	u, err := user.Lookup(name)
	if err != nil {
		return 0, errkind.New(errkind.Usage, fmt.Sprintf("[signer] gateway_user = %q: there is no such user here", name)).
			WithHint("Write the user that `sallyport serve` runs as, by name or number.").Because(err)
	}
	return strconv.Atoi(u.Uid)
}

// providers verify id tokens. Client secrets are the gateway's: verifying needs none.
func (s *Signer) providers() (*oidcauth.Set, error) {
	counts := func(m signer.Mapping) bool { return s.own.Counts(m) } // s.own is set before the first token is verified
	return providerSet(s.cfg, counts, func(c config.Identity, p *oidcauth.Config) error {
		p.Log = s.log
		if !c.Builtin {
			return nil
		}
		secret, err := secretFile(filepath.Join(s.cfg.Signer.Dir, "keys", "idp-client.key"), 32)
		if err != nil {
			return err
		}
		s.key = hex.EncodeToString(secret)
		s.idp, err = builtin(s.cfg, UsersDir(s.cfg), p, s.key, fromGateway, s.pipe, s.log)
		return err
	})
}

// fromGateway believes the header, because the socket answers the gateway alone.
func fromGateway(r *http.Request) netip.Addr {
	a, _ := netip.ParseAddr(r.Header.Get(clientHeader))
	return a
}

// Run answers on the socket until ctx ends. Ready is called once it does.
func (s *Signer) Run(ctx context.Context, ready func()) error {
	defer s.own.Close()
	// The mode is open because the two users share no group of need; who may call is the kernel's word on the caller's uid.
	socket, err := signer.Listen(s.cfg.Signer.Socket, 0o666, s.uid)
	if err != nil {
		return err
	}
	ready()
	g, ctx := errgroup.WithContext(ctx)
	s.pipe.done = ctx.Done()
	if s.idp != nil {
		g.Go(func() error {
			if err := s.idp.Run(ctx); ctx.Err() == nil {
				return err
			}
			return nil
		})
	}
	g.Go(func() error {
		_ = watchCopy(ctx, s.own, s.log) // only ever that ctx has ended
		return nil
	})
	g.Go(func() error { return signer.ServeOn(ctx, socket, s.handler()) })
	return g.Wait()
}

func (s *Signer) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /gateway", s.meet)
	mux.HandleFunc("POST /logouts", s.pipe.serve)
	if s.idp != nil {
		mux.Handle("/idp/", s.idp.Handler())
	}
	mux.Handle("/", signer.Handler(s.own))
	return mux
}

// meet answers the gateway's introduction.
func (s *Signer) meet(w http.ResponseWriter, r *http.Request) {
	var in introduction
	raw, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 4<<10))
	if err == nil {
		err = wire.StrictJSON(raw, &in)
	}
	if err == nil {
		err = s.own.Introduce(r.Context(), in.Noise)
	}
	if err != nil {
		s.log.Warn("a gateway was refused", slog.Any("error", err))
		text, hint, _ := errkind.ForPeople(err)
		http.Error(w, strings.TrimSpace(text+". "+hint), http.StatusForbidden)
		return
	}
	json.NewEncoder(w).Encode(welcome{s.key})
}

// logoutPipe carries the provider's logout tokens to the gateway, which asks for them: so the signer needs no way to the
// gateway's public address, whatever stands before it.
type logoutPipe struct {
	waiting chan told
	done    <-chan struct{} // the process ends: whoever asks now is sent away
}

// longPoll is how long an asking gateway waits.
const longPoll = 20 * time.Second

// RoundTrip implements http.RoundTripper for the provider. It succeeds when the gateway has taken the token.
func (p *logoutPipe) RoundTrip(r *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(io.LimitReader(r.Body, 64<<10))
	if err != nil {
		return nil, err
	}
	select {
	case p.waiting <- told{r.URL.String(), string(body)}:
		return &http.Response{StatusCode: http.StatusOK, Status: "200 OK", Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Header: http.Header{}, Body: http.NoBody, Request: r}, nil
	case <-r.Context().Done():
		return nil, fmt.Errorf("the gateway does not ask for logout tokens: %w", r.Context().Err())
	}
}

func (p *logoutPipe) serve(w http.ResponseWriter, r *http.Request) {
	wait := time.NewTimer(longPoll)
	defer wait.Stop()
	select {
	case l := <-p.waiting:
		json.NewEncoder(w).Encode(l)
	case <-wait.C:
		w.WriteHeader(http.StatusNoContent)
	case <-p.done:
		w.WriteHeader(http.StatusServiceUnavailable)
	case <-r.Context().Done():
	}
}

// UsersDir is where the built-in provider keeps its people.
func UsersDir(c *config.Config) string {
	if c.Signer.Dir != "" {
		return filepath.Join(c.Signer.Dir, "idp")
	}
	return filepath.Join(c.Site.DataDir, "idp")
}

// SignerDir is where the signer keeps keys, state and log.
func SignerDir(c *config.Config) string {
	if c.Signer.Dir != "" {
		return c.Signer.Dir
	}
	return filepath.Join(c.Site.DataDir, "signer")
}

// readSecret reads a file with one secret.
func readSecret(path string) (string, error) {
	text, err := readfile.Regular(path, readfile.Most)
	return strings.TrimSpace(string(text)), err
}
