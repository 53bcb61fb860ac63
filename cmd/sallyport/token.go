package main

import (
	"fmt"
	"net/url"
	"strings"

	"github.com/sallyport/sallyport/web/apitype"
)

type tokenCmd struct {
	Create tokenCreateCmd `cmd:"" help:"Make a token. It is shown once."`
	List   tokenListCmd   `cmd:"" aliases:"ls" help:"List your tokens; administrators see all."`
	Revoke tokenRevokeCmd `cmd:"" help:"Revoke a token. Sessions that were opened with it end."`
}

type tokenCreateCmd struct {
	Scope   []string `required:"" placeholder:"S" help:"What it may do: session, and of your duties administer, approve, export, review. May repeat."`
	TTL     span     `name:"ttl" required:"" placeholder:"24h" help:"How long it is good: 90m, 12h, 7d; at most 90d."`
	Name    string   `placeholder:"TEXT" help:"What it is for."`
	Machine string   `placeholder:"NAME" help:"The service it is for: what the policy names machine:NAME. Administrators only."`
	Network string   `placeholder:"CIDR" help:"Where it is good from: 198.51.100.0/24."`
	JSON    bool     `name:"json" help:"Print JSON, for programs."`
}

func (*tokenCreateCmd) Help() string {
	return `A token acts for you without a second factor, so rules that want one do not give it anything. It cannot make another one.
It sleeps when you have not signed in for 30 days, and dies when your provider no longer knows you.`
}

func (c *tokenCreateCmd) Run(a *app) error {
	cl, err := a.client()
	if err != nil {
		return err
	}
	var t apitype.Token
	in := apitype.TokenNew{Name: c.Name, Machine: c.Machine, Scopes: c.Scope, TTLSeconds: c.TTL.seconds(), Network: c.Network}
	if err := cl.Post(a.context(), "/api/v1/tokens", in, &t); err != nil {
		return err
	}
	if c.JSON {
		return a.json(t)
	}
	fmt.Fprintln(a.stdout, safe(t.Text))
	fmt.Fprintf(a.stderr, "Good until %s. Programs take it from SALLYPORT_TOKEN. Its id is %s.\n", at(&t.Expires), safe(t.ID))
	return nil
}

type tokenListCmd struct{ listing }

func (c *tokenListCmd) Run(a *app) error {
	cl, err := a.client()
	if err != nil {
		return err
	}
	var rows []apitype.Token
	if err := cl.Get(a.context(), "/api/v1/tokens", nil, &rows); err != nil {
		return err
	}
	return show(a, c.listing, rows, "You have no API tokens. `sallyport token create` makes one.",
		"ID NAME MACHINE SCOPES FROM EXPIRES USED REVOKED", func(t apitype.Token) []string {
			return []string{t.ID, t.Name, t.Machine, strings.Join(t.Scopes, ","), t.Network, at(&t.Expires),
				at(t.LastUsed), at(t.Revoked)}
		})
}

type tokenRevokeCmd struct {
	ID string `arg:"" help:"The token's id, as list shows it."`
}

func (c *tokenRevokeCmd) Run(a *app) error {
	cl, err := a.client()
	if err != nil {
		return err
	}
	return cl.Delete(a.context(), "/api/v1/tokens/"+url.PathEscape(c.ID))
}
