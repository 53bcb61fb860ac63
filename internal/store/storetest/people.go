package storetest

import (
	"time"

	"github.com/sallyport/sallyport/internal/id"
	"github.com/sallyport/sallyport/internal/store"
)

func principals(s *suite) {
	p := store.Principal{ID: tess, Name: "Tess", Username: "tt", Email: "t@x", Groups: []string{"a", "b"}, SeenAt: at(1)}
	s.ok(s.PutPrincipal(s.ctx, p))
	p.Name, p.Username, p.Groups, p.SeenAt = "Tess T", "tess", nil, at(3)
	s.ok(s.PutPrincipal(s.ctx, p))
	other := store.Principal{ID: also, Name: "Other", Groups: []string{"c"}, SeenAt: at(2)}
	s.ok(s.PutPrincipal(s.ctx, other))
	s.same("as last seen", get[store.Principal](s)(s.Principal(s.ctx, tess)), p)
	s.same("all", get[[]store.Principal](s)(s.Principals(s.ctx)), []store.Principal{p, other})
	_, err := s.Principal(s.ctx, ada)
	s.missing("somebody", err)
}

func webSession(n int, p id.Principal, sid string) store.WebSession {
	return store.WebSession{IDHash: key(n), Principal: p, Provider: "corp", SID: sid, TokenHash: key(100 + n),
		KeyID: key(200 + n), SealedKey: []byte("k"), Tokens: []byte("t"), HasRefresh: n%2 == 0, NoRefresh: n%2 == 1,
		ConfirmedAt: at(n), AuthTime: at(n), SecondFactorAt: at(n), AMR: []string{"otp"}, ACR: "2",
		Kind: store.KindWeb, Addr: "192.0.2.1", Created: at(n), LastSeen: at(n), Expires: at(60 + n)}
}

func webSessions(s *suite) {
	a, b, c, d := webSession(1, tess, "s1"), webSession(2, tess, ""), webSession(3, ada, "s1"), webSession(4, also, "")
	b.SecondFactorAt, b.AMR, b.Kind = time.Time{}, nil, store.KindCLI
	for _, w := range []store.WebSession{a, b, c, d} {
		s.ok(s.AddWebSession(s.ctx, w))
	}
	s.same("without refresh, by provider", get[map[string]int](s)(s.SignInsWithoutRefresh(s.ctx, at(2))),
		map[string]int{"corp": 2})
	s.same("without refresh, expired", get[map[string]int](s)(s.SignInsWithoutRefresh(s.ctx, at(61))),
		map[string]int{"corp": 1})
	one, many := get[store.WebSession](s), get[[]store.WebSession](s)
	s.same("one", one(s.WebSession(s.ctx, a.IDHash)), a)
	s.same("of a person", many(s.WebSessionsOf(s.ctx, tess)), []store.WebSession{b, a})
	s.taken("the same hash", s.AddWebSession(s.ctx, a))
	if err := s.AddWebSession(s.ctx, store.WebSession{IDHash: key(9), Kind: "other", Created: at(1), Expires: at(2)}); err == nil {
		s.Error("an unknown kind was stored")
	}
	s.ok(s.TouchWebSession(s.ctx, a.IDHash, at(9)))
	s.ok(s.TouchWebSession(s.ctx, a.IDHash, at(8)))
	a.LastSeen = at(9)
	s.same("last seen never goes back", one(s.WebSession(s.ctx, a.IDHash)), a)
	s.missing("touching nobody", s.TouchWebSession(s.ctx, key(99), at(9)))

	next := webSession(5, tess, "s1")
	s.ok(s.ReplaceWebSession(s.ctx, a.IDHash, next, at(50)))
	_, err := s.WebSession(s.ctx, a.IDHash)
	s.missing("the old one after a rotation", err)
	s.missing("a rotation of one that ended meanwhile",
		s.ReplaceWebSession(s.ctx, a.IDHash, webSession(6, tess, "s1"), at(50)))
	_, err = s.WebSession(s.ctx, key(6))
	s.missing("what a refused rotation would store", err)
	s.taken("a rotation to a hash in use", s.ReplaceWebSession(s.ctx, next.IDHash, b, at(50)))
	s.same("after it", one(s.WebSession(s.ctx, next.IDHash)), next)

	s.same("no sid ends nobody", len(many(s.EndWebSessionsBySID(s.ctx, tess.Issuer, ""))), 0)
	s.same("a sid of another provider ends nobody", len(many(s.EndWebSessionsBySID(s.ctx, also.Issuer, "s1"))), 0)
	s.same("by sid", len(many(s.EndWebSessionsBySID(s.ctx, tess.Issuer, "s1"))), 2)
	s.same("ended", one(s.EndWebSession(s.ctx, b.IDHash)), b)
	_, err = s.EndWebSession(s.ctx, b.IDHash)
	s.missing("ended twice", err)
	s.ok(s.AddWebSession(s.ctx, b))
	s.same("of a person", many(s.EndWebSessionsOf(s.ctx, tess)), []store.WebSession{b})
	s.same("not yet expired", len(many(s.SweepWebSessions(s.ctx, at(63)))), 0)
	s.same("expired", many(s.SweepWebSessions(s.ctx, at(64))), []store.WebSession{d})
}

// signOuts: the signer has to close an id token once no session has it.
func signOuts(s *suite) {
	a, cli, c := webSession(20, tess, "s20"), webSession(21, tess, "s20"), webSession(22, ada, "s22")
	cli.TokenHash = a.TokenHash
	for _, w := range []store.WebSession{a, cli, c} {
		s.ok(s.AddWebSession(s.ctx, w))
	}
	due := func(n int) [][32]byte { return get[[][32]byte](s)(s.SignOuts(s.ctx, at(n))) }
	none := [][32]byte(nil)
	for _, h := range due(0) { // of the tests before
		s.ok(s.SignedOut(s.ctx, h))
	}
	next := a
	next.LastSeen = at(40)
	s.ok(s.ReplaceWebSession(s.ctx, a.IDHash, next, at(50)))
	s.same("a row with the same token", due(100), none)
	next.TokenHash = key(150)
	s.ok(s.ReplaceWebSession(s.ctx, a.IDHash, next, at(50)))
	s.same("the command line still has it", due(100), none)
	cli.TokenHash = next.TokenHash
	s.ok(s.ReplaceWebSession(s.ctx, cli.IDHash, cli, at(50)))
	s.same("a refresh replaced it a moment ago", due(49), none)
	s.same("a while ago", due(50), [][32]byte{a.TokenHash})
	get[store.WebSession](s)(s.EndWebSession(s.ctx, c.IDHash))
	s.same("another person signs out", due(1), [][32]byte{c.TokenHash})
	get[store.WebSession](s)(s.EndWebSession(s.ctx, cli.IDHash))
	s.same("the browser has the newer one", due(1), [][32]byte{a.TokenHash, c.TokenHash})
	s.ok(s.SignedOut(s.ctx, c.TokenHash))
	s.same("ended by sid", len(get[[]store.WebSession](s)(s.EndWebSessionsBySID(s.ctx, tess.Issuer, "s20"))), 1)
	s.same("both of that person", due(1), [][32]byte{a.TokenHash, next.TokenHash})
	for _, h := range due(1) {
		s.ok(s.SignedOut(s.ctx, h))
	}
	s.same("told", due(100), none)
}

func apiTokens(s *suite) {
	token := func(n int, p id.Principal) store.APIToken {
		return store.APIToken{ID: string(rune('a' + n)), Name: "ci", Hash: key(n), Principal: p, Machine: "m", Scopes: []string{"session"}, Network: "10.0.0.0/8", Created: at(n), Expires: at(60)}
	}
	a, b, c := token(1, tess), token(2, tess), token(3, also)
	for _, t := range []store.APIToken{a, b, c} {
		s.ok(s.AddAPIToken(s.ctx, t))
	}
	one, many := get[store.APIToken](s), get[[]store.APIToken](s)
	s.same("by id", one(s.APIToken(s.ctx, a.ID)), a)
	s.same("by hash", one(s.APITokenByHash(s.ctx, b.Hash)), b)
	s.same("of a person", many(s.APITokens(s.ctx, tess)), []store.APIToken{b, a})
	s.same("everybody's", many(s.APITokens(s.ctx, id.Principal{})), []store.APIToken{c, b, a})
	twin := token(4, ada)
	twin.Hash = a.Hash
	s.taken("a hash", s.AddAPIToken(s.ctx, twin))
	s.taken("an id", s.AddAPIToken(s.ctx, a))
	_, err := s.APIToken(s.ctx, "none")
	s.missing("a token", err)
	_, err = s.APITokenByHash(s.ctx, key(99))
	s.missing("a token by hash", err)
	s.ok(s.TouchAPIToken(s.ctx, a.ID, at(9)))
	s.ok(s.TouchAPIToken(s.ctx, a.ID, at(8)))
	s.ok(s.RevokeAPIToken(s.ctx, a.ID, at(10)))
	s.ok(s.RevokeAPIToken(s.ctx, a.ID, at(11)))
	a.LastUsed, a.Revoked = at(9), at(10)
	s.same("used and revoked", one(s.APIToken(s.ctx, a.ID)), a)
	s.same("live", []bool{a.Live(at(20)), b.Live(at(20)), b.Live(at(60))}, []bool{false, true, false})
	s.missing("touching none", s.TouchAPIToken(s.ctx, "none", at(9)))
	s.missing("revoking none", s.RevokeAPIToken(s.ctx, "none", at(9)))
	b.Revoked = at(12)
	s.same("those that die with their user", many(s.RevokeAPITokensOf(s.ctx, tess, at(12))), []store.APIToken{b})
	s.same("another's stays", one(s.APIToken(s.ctx, c.ID)), c)
}

func sites(s *suite) {
	a := store.Site{Name: "ulm", ShownAs: "Ulm", Owners: []id.Principal{tess}, Created: at(1)}
	b := store.Site{Name: "bern", ShownAs: "Bern", Created: at(2)}
	s.ok(s.PutSite(s.ctx, a))
	s.ok(s.PutSite(s.ctx, b))
	s.same("one", get[store.Site](s)(s.Site(s.ctx, "ulm")), a)
	s.same("all", get[[]store.Site](s)(s.Sites(s.ctx)), []store.Site{b, a})
	s.same("owned", get[[]string](s)(s.SitesOwnedBy(s.ctx, tess)), []string{"ulm"})
	s.same("owned by the same subject elsewhere", len(get[[]string](s)(s.SitesOwnedBy(s.ctx, also))), 0)
	again := store.Site{Name: "ulm", ShownAs: "Ulm 2", Owners: []id.Principal{ada}, Created: at(9)}
	s.ok(s.PutSite(s.ctx, again))
	again.Created = at(1) // a site is made once
	s.same("stored again", get[store.Site](s)(s.Site(s.ctx, "ulm")), again)
	s.same("no longer owned", len(get[[]string](s)(s.SitesOwnedBy(s.ctx, tess))), 0)
	_, err := s.Site(s.ctx, "none")
	s.missing("a site", err)
}
