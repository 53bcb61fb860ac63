package node

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/sallyport/sallyport/internal/config"
	"github.com/sallyport/sallyport/internal/errkind"
	"github.com/sallyport/sallyport/internal/oidcauth"
	"github.com/sallyport/sallyport/internal/readfile"
	"github.com/sallyport/sallyport/internal/store/sqlite"
)

// howAsked sets the keys that control requests to a provider.
func howAsked(i config.Identity, p *oidcauth.Config) error {
	p.Scopes, p.Prompt, p.NoRefreshAtMost = i.Scopes, i.Prompt, time.Duration(i.NoRefresh)
	p.Logout = i.Logout
	if i.CAFile == "" {
		return nil
	}
	pem, err := readfile.Regular(i.CAFile, readfile.Most)
	if err != nil {
		return fmt.Errorf("[[identity]] %s: ca_file: %w", i.Name, err)
	}
	p.Roots = x509.NewCertPool()
	if !p.Roots.AppendCertsFromPEM(pem) {
		return fmt.Errorf("[[identity]] %s: ca_file: %s holds no certificate in PEM", i.Name, i.CAFile)
	}
	return nil
}

// withoutRefresh counts the sign-ins for which a withdrawn group is noticed late.
func (g *Gateway) withoutRefresh(ctx context.Context, gauge func(name, help string, v float64, labels ...string)) {
	counts, err := g.DB.SignInsWithoutRefresh(ctx, time.Now())
	if err != nil {
		return // unknown, which is not zero
	}
	for _, p := range g.set.All() {
		gauge("sign_ins_without_refresh",
			"Browser sign-ins now that the provider cannot be asked about again: "+
				"a group withdrawn there counts until they end.",
			float64(counts[p.Name()]), "provider", p.Name())
	}
}

// provider looks at one provider from outside: whether it answers, and how fast a withdrawn group takes effect.
func (e *examination) provider(ctx context.Context, i config.Identity) (string, error) {
	redirect := siteBase(e.c) + "/callback/" + i.Name
	c := oidcauth.Config{Name: i.Name, ShownAs: i.ShownAs, Issuer: i.Issuer, ClientID: i.ClientID,
		RedirectURL: redirect}
	if err := howAsked(i, &c); err != nil {
		return "", err
	}
	p, err := oidcauth.New(c)
	if err != nil {
		return "", err
	}
	text := i.Issuer + " answers; registered there must be exactly " + redirect
	offline, err := p.Offline(ctx)
	if e, ok := errkind.Of(err); ok && e.Err != nil { // people at the sign-in page get no cause, the operator does
		err = errkind.New(e.Kind, e.Text+" ("+e.Err.Error()+")").WithHint(e.Hint)
	}
	if err == nil && !offline {
		err = odd(fmt.Sprintf("%s; it offers no refresh tokens, so each sign-in lasts %s and a group withdrawn there "+
			"stays valid that long here", text, i.NoRefresh),
			"If it supports offline_access without listing it, add it to scopes. "+
				"Otherwise set no_refresh_at_most as you need it: docs/identity.md.")
	}
	return text, err
}

// withoutRefresh reads the counts from the gateway's database, if this user may read it.
func (e *examination) withoutRefresh(ctx context.Context) {
	counts, err := sqlite.CountSignIns(ctx, filepath.Join(e.c.Site.DataDir, "gateway.db"), time.Now())
	if errors.Is(err, os.ErrNotExist) || errors.Is(err, os.ErrPermission) {
		return
	}
	for _, i := range e.c.Identity {
		if n := counts[i.Name]; n > 0 || err != nil {
			e.add("sign-ins "+i.Name, func() (string, error) { return "", lateNews(i, n, err) })
		}
	}
}

func lateNews(i config.Identity, n int, err error) error {
	if err != nil {
		return err
	}
	return odd(fmt.Sprintf("sign-ins now without a refresh token: %d; each lasts %s, and a group withdrawn at %s "+
		"stays valid that long", n, i.NoRefresh, i.Issuer),
		"Let the provider give this client refresh tokens (scope offline_access, and consent if it requires that): "+
			"docs/identity.md.")
}
