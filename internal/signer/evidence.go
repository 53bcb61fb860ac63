package signer

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"

	"github.com/sallyport/sallyport/authz"
	"github.com/sallyport/sallyport/internal/errkind"
	"github.com/sallyport/sallyport/internal/wire"
	"github.com/sallyport/sallyport/recorder/ledger"
)

// person turns evidence into who asks, believing nothing but the evidence itself. The address alone is the asking data plane's
// word: nothing shows it here.
func (s *Service) person(ctx context.Context, e Evidence) (authz.Person, error) {
	who, _, err := s.asking(ctx, e)
	return who, err
}

// asking is person that also gives what the evidence shows of the sign-in.
func (s *Service) asking(ctx context.Context, e Evidence) (authz.Person, ledger.Asker, error) {
	addr, _ := netip.ParseAddr(e.ClientAddr)
	switch {
	case e.IDToken != "" && e.APIToken == "":
		return s.signedIn(ctx, e, addr)
	case e.APIToken != "" && e.IDToken == "":
		t, err := s.token(e.APIToken, addr)
		asker := ledger.Asker{Issuer: t.Principal.Issuer, Subject: t.Principal.Subject, Token: t.ID, Machine: t.Machine}
		if t.Machine != "" {
			t.Name = authz.MachineName(t.Machine) // a service identity is not its maker; their groups only close rules for it
		}
		return authz.Person{ID: t.Principal, Name: t.Name, Groups: t.Groups, Machine: t.Machine, ViaToken: true, Address: addr}, asker, err
	}
	return authz.Person{}, ledger.Asker{}, errkind.New(errkind.Signin, "nothing shows who asks").WithHint("Sign in first.")
}

// Identify implements Signer.
func (s *Service) Identify(ctx context.Context, by Evidence) error {
	_, err := s.person(ctx, by)
	return err
}

func (s *Service) signedIn(ctx context.Context, e Evidence, addr netip.Addr) (authz.Person, ledger.Asker, error) {
	none := ledger.Asker{}
	if s.cfg.Identities == nil {
		return authz.Person{}, none, errkind.New(errkind.Signin, "no identity provider is configured")
	}
	who, err := s.cfg.Identities.VerifyIDToken(ctx, e.IDToken, e.AccessToken)
	switch {
	case err == nil:
	case errors.Is(err, ErrUnconfirmed), errkind.KindOf(err) == errkind.Unavailable,
		errkind.KindOf(err) == errkind.Denied:
		return authz.Person{}, none, err
	default: // a forger is not told which check failed
		return authz.Person{}, none, errkind.New(errkind.Signin, "the sign-in does not hold").WithHint("Sign in again.").Because(err)
	}
	if age := s.cfg.Now().Sub(who.SignedInAt); age > s.cfg.SignInAge || age < -60e9 {
		return authz.Person{}, none, errkind.New(errkind.Signin, "your sign-in is too old").WithHint("Sign in again.")
	}
	if who.IssuedAt.Before(s.restoredAt) {
		return authz.Person{}, none, errkind.New(errkind.Signin, "this sign-in is older than the restore of the signer's backup").
			WithHint("Sign in again.")
	}
	if err := s.admit(e, who); err != nil {
		return authz.Person{}, none, err
	}
	person := authz.Person{ID: who.Principal, Name: who.Name, Groups: who.Groups, SecondFactorAt: who.SecondFactorAt, Address: addr}
	s.saw(person, who.IssuedAt)
	return person, askerOf(who), nil
}

var errBadToken = errkind.New(errkind.Signin, "this API token is unknown, revoked or expired").
	WithHint("`sallyport token create` makes a new one.")

// token finds an API token in the signer's own list of hashes.
func (s *Service) token(text string, addr netip.Addr) (Token, error) {
	s.mu.RLock()
	t, ok := s.state.tokens[wire.Sum([]byte(text))]
	s.mu.RUnlock()
	if !ok || t.Revoked || !s.cfg.Now().Before(t.Expires) {
		return Token{}, errBadToken
	}
	if t.Network != "" {
		n, err := netip.ParsePrefix(t.Network)
		if err != nil || !n.Contains(addr.Unmap()) {
			return Token{}, errkind.New(errkind.Signin, "this API token is not good from "+addr.String()).
				WithHint("Use it from the network it was made for, or make one for this: `sallyport token create --network`.")
		}
	}
	return t, nil
}

// allowed checks that evidence gives a duty. A token needs the duty among its scopes as well.
func (s *Service) allowed(ctx context.Context, e Evidence, duty authz.Duty) (authz.Person, error) {
	who, err := s.person(ctx, e)
	if err != nil {
		return who, err
	}
	s.mu.RLock()
	p := s.snapshot.Policy
	s.mu.RUnlock()
	no := errkind.New(errkind.Denied, fmt.Sprintf("this needs the duty %q", duty)).WithHint("Ask a member of a group that has it. [duties] of the policy names these groups.")
	if p == nil || who.Machine != "" || !slices.Contains(p.Duties(who.Groups), duty) {
		return who, no
	}
	if e.APIToken != "" {
		t, err := s.token(e.APIToken, who.Address)
		if err != nil {
			return who, err
		}
		if !p.ByToken(duty) {
			return who, errkind.New(errkind.Denied, fmt.Sprintf("the policy lets no API token use the duty %q", duty)).WithHint("Sign in yourself with `sallyport login`.")
		}
		if !slices.Contains(t.Scopes, string(duty)) {
			return who, errkind.New(errkind.Denied, fmt.Sprintf("this API token lacks the scope %q", duty)).
				WithHint("Make one that has it: `sallyport token create --scope`.")
		}
	}
	return who, nil
}
