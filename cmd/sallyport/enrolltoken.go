package main

import (
	"fmt"
	"net/url"

	"github.com/sallyport/sallyport/web/apitype"
)

type enrollTokenCmd struct {
	Create enrollTokenCreateCmd `cmd:"" help:"Make a join code. It is shown once."`
	List   enrollTokenListCmd   `cmd:"" aliases:"ls" help:"List join codes, without the codes."`
	Revoke enrollTokenRevokeCmd `cmd:"" help:"End a join code. Devices that came by it stay."`
}

type enrollTokenCreateCmd struct {
	Name         string            `placeholder:"NAME" help:"What the device will be called. Default: its own host name."`
	Site         string            `placeholder:"S" help:"The site it stands at."`
	Label        map[string]string `placeholder:"k=v" help:"A label it will have; may repeat."`
	Uses         int               `default:"1" placeholder:"N" help:"How many devices may use it."`
	TTL          span              `name:"ttl" default:"1h" placeholder:"1h" help:"How long it is good: 90m, 12h, 7d; at most 30d."`
	ExpectSerial string            `placeholder:"X" help:"Refuse a machine with another serial number."`
	JSON         bool              `name:"json" help:"Print JSON, for programs."`
}

// Validate is called once the flags are read.
func (c *enrollTokenCreateCmd) Validate() error {
	if c.Uses < 1 {
		return fmt.Errorf("--uses %d: a code that no device may use is good for nothing; leave it out for one device", c.Uses)
	}
	return nil
}

func (c *enrollTokenCreateCmd) Run(a *app) error {
	cl, err := a.client()
	if err != nil {
		return err
	}
	var t apitype.EnrollToken
	ttl := c.TTL.seconds()
	in := apitype.EnrollTokenNew{Name: c.Name, Site: c.Site, Labels: c.Label, Uses: &c.Uses, TTLSeconds: &ttl, ExpectSerial: c.ExpectSerial}
	if err := cl.Post(a.context(), "/api/v1/enroll-tokens", in, &t); err != nil {
		return err
	}
	if c.JSON {
		return a.json(t)
	}
	fmt.Fprintln(a.stdout, safe(t.Code))
	fmt.Fprintf(a.stderr, "Paste on the device:  %s\nGood until %s, for %d use(s). Then admit it: sallyport devices list --state waiting\n", safe(t.Command), at(&t.Expires), t.Uses)
	return nil
}

type enrollTokenListCmd struct{ listing }

func (c *enrollTokenListCmd) Run(a *app) error {
	cl, err := a.client()
	if err != nil {
		return err
	}
	var rows []apitype.EnrollToken
	if err := cl.Get(a.context(), "/api/v1/enroll-tokens", nil, &rows); err != nil {
		return err
	}
	return show(a, c.listing, rows, "There are no join codes. `sallyport enroll-token create` makes one.",
		"ID NAME SITE LABELS LEFT EXPIRES REVOKED BY", func(t apitype.EnrollToken) []string {
			return []string{t.ID, t.Name, t.Site, labels(t.Labels), fmt.Sprintf("%d/%d", t.UsesLeft, t.Uses),
				at(&t.Expires), at(t.Revoked), t.CreatedBy}
		})
}

type enrollTokenRevokeCmd struct {
	ID string `arg:"" help:"The code's id, as list shows it."`
}

func (c *enrollTokenRevokeCmd) Run(a *app) error {
	cl, err := a.client()
	if err != nil {
		return err
	}
	return cl.Delete(a.context(), "/api/v1/enroll-tokens/"+url.PathEscape(c.ID))
}
