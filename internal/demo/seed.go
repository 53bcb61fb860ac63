package demo

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"net"
	"os"
	"time"

	"github.com/sallyport/sallyport/internal/config"
	"github.com/sallyport/sallyport/internal/id"
	"github.com/sallyport/sallyport/internal/idp"
	"github.com/sallyport/sallyport/internal/node"
	"github.com/sallyport/sallyport/internal/signer"
	"github.com/sallyport/sallyport/internal/store"
	"github.com/sallyport/sallyport/internal/wire"
)

// tokenTime is how long a demo's API tokens live; a start renews them when less than half is left.
const tokenTime = 89 * 24 * time.Hour

// scopes of a demo's tokens: all that the policy lets tokens do.
var scopes = []string{"session", "administer", "approve", "review", "export", "own"}

// ServeGateway runs the demo's gateway in this process.
func ServeGateway(ctx context.Context, dir string, log *slog.Logger) error {
	s, err := Read(dir)
	if err != nil {
		return err
	}
	g, err := node.New(ctx, node.Options{Config: s.config(), Host: s.Addr, NoTLS: true, Demo: true, Seed: s.seed, Log: log})
	if err != nil {
		return err
	}
	l, err := net.Listen("tcp", s.Addr)
	if err != nil {
		return err
	}
	return g.Run(ctx, node.Open(l, log))
}

func (s *State) config() *config.Config {
	groups := map[string]string{}
	for _, u := range s.Users {
		for _, g := range u.Groups {
			groups[g] = g
		}
	}
	c := &config.Config{
		Site:      config.Site{Name: "Sallyport demo", URL: s.URL(), DataDir: s.path("data"), Notice: "Sessions are recorded."},
		TLS:       config.TLS{Mode: "behind-proxy"},
		Identity:  []config.Identity{{Name: "demo", ShownAs: "Demo people", Builtin: true, GroupsClaim: "groups", Groups: groups}},
		Policy:    config.Policy{Files: config.Words{s.path("policy.toml")}},
		Recording: config.Recording{ReadersFiles: config.Words{s.path("keys", "reader.pub"), s.path("keys", "unsealer.pub")}, UnsealersFiles: config.Words{s.path("keys", "unsealer.pub")}},
	}
	c.Recording.Journal, c.Recording.Ballast = size(s.Sizes.Journal, 64<<20), size(s.Sizes.Ballast, 16<<20)
	c.Recording.LowWater, c.Recording.PerSession = size(s.Sizes.LowWater, 256<<20), size(s.Sizes.PerSession, 2<<30)
	c.Sessions.PerPerson, c.Sessions.PerDevice = cmp.Or(s.Sizes.PerPerson, 8), cmp.Or(s.Sizes.PerDevice, 4)
	c.Recording.KeepAtLeast = config.Duration(400 * 24 * time.Hour)
	c.Ledger.Origin = "demo.sallyport.localhost/log"
	return c
}

func size(own, usual int64) config.Size { return config.Size(cmp.Or(own, usual)) }

// seed makes the demo's people, their tokens and their site known.
func (s *State) seed(ctx context.Context, g *node.Gateway) error {
	known, err := g.Users.All()
	if err != nil {
		return err
	}
	subjects := map[string]string{}
	for _, u := range known {
		subjects[u.Name] = u.Subject
	}
	var tokens []signer.Token
	var owners []id.Principal
	for _, u := range s.Users {
		sub, ok := subjects[u.Name]
		if !ok {
			made, err := g.Users.Add(idp.User{Name: u.Name, ShownAs: u.ShownAs, Groups: u.Groups}, u.Password)
			if err != nil {
				return err
			}
			sub = made.Subject
		}
		who := id.Principal{Issuer: g.Issuer, Subject: sub}
		if u.Role == "owner" {
			owners = append(owners, who)
		}
		t, err := s.token(ctx, g, u, who)
		if err != nil {
			return err
		}
		tokens = append(tokens, t)
	}
	if err := g.DB.PutSite(ctx, store.Site{Name: Site, ShownAs: "Plant North", Owners: owners, Created: time.Now()}); err != nil {
		return err
	}
	if err := g.SeedOwners(ctx, signer.Site{Name: Site, Owners: owners}); err != nil {
		return err
	}
	return g.Seed(ctx, tokens)
}

func (s *State) token(ctx context.Context, g *node.Gateway, u User, who id.Principal) (signer.Token, error) {
	if err := g.DB.PutPrincipal(ctx, store.Principal{ID: who, Name: u.ShownAs, Username: u.Name, Groups: u.Groups, SeenAt: time.Now()}); err != nil {
		return signer.Token{}, err
	}
	hash := wire.Sum([]byte(u.Token))
	row, err := g.DB.APITokenByHash(ctx, hash)
	if err != nil {
		now := time.Now()
		row = store.APIToken{ID: "demo-" + u.Name, Name: "demo", Hash: hash, Principal: who, Scopes: scopes, Created: now, Expires: now.Add(tokenTime)}
		if err := g.DB.AddAPIToken(ctx, row); err != nil {
			return signer.Token{}, fmt.Errorf("token of %s: %w", u.Name, err)
		}
	}
	return signer.Token{ID: row.ID, Hash: hash, Principal: who, Name: u.ShownAs, Groups: u.Groups, Scopes: row.Scopes, Expires: row.Expires}, nil
}

// forgetReady removes a ready-file of a run before: what it says is no longer so.
func forgetReady(path string) {
	if path != "" {
		os.Remove(path)
	}
}
