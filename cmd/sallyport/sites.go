package main

import (
	"strings"

	"github.com/sallyport/sallyport/internal/errkind"
	"github.com/sallyport/sallyport/web/apitype"
)

type sitesCmd struct {
	List   sitesListCmd   `cmd:"" aliases:"ls" default:"1" help:"List the sites with their owners."`
	Owners sitesOwnersCmd `cmd:"" help:"Show, add and remove the owners of a site."`
}

type sitesListCmd struct{ listing }

func (*sitesListCmd) Help() string {
	return `A site is where devices are: the join code or the admission of a device names it. Administrators and reviewers see all
sites, owners their own.`
}

func (c *sitesListCmd) Run(a *app) error {
	cl, err := a.client()
	if err != nil {
		return err
	}
	var rows []apitype.Site
	if err := cl.Get(a.context(), "/api/v1/sites", nil, &rows); err != nil {
		return err
	}
	return show(a, c.listing, rows, "There are no sites that you may see.", "SITE OWNERS", func(s apitype.Site) []string {
		var names []string
		for _, o := range s.Owners {
			names = append(names, o.Name)
		}
		return []string{s.Name, strings.Join(names, ", ")}
	})
}

type sitesOwnersCmd struct {
	Site   string   `arg:"" help:"The site's name."`
	Add    []string `placeholder:"U" help:"Add this person: a name, a user name, an address or a subject. May repeat."`
	Remove []string `placeholder:"U" help:"Remove this person. May repeat."`
	JSON   bool     `name:"json" help:"Print JSON, for programs."`
}

func (*sitesOwnersCmd) Help() string {
	return `An owner with the duty "own" of the policy can watch and replay the sessions at the site, approve requests where a rule names
@owner, and withdraw grants there. An owner has no such rights at other sites. To change owners you need the duty administer, and you cannot add yourself. The change is in the log.

  sallyport sites owners plant-north
  sallyport sites owners plant-north --add olga --remove oskar`
}

func (c *sitesOwnersCmd) Run(a *app) error {
	s, err := c.change(a)
	if err != nil {
		return err
	}
	if c.JSON {
		return a.json(s)
	}
	return show(a, listing{}, s.Owners, "The site has no owners.", "NAME ISSUER SUBJECT", func(o apitype.SiteOwner) []string {
		return []string{o.Name, o.Issuer, o.Subject}
	})
}

// change gives the site as it is after the change, or as it is now if there is nothing to change.
func (c *sitesOwnersCmd) change(a *app) (s apitype.Site, err error) {
	cl, err := a.client()
	if err != nil {
		return s, err
	}
	if len(c.Add)+len(c.Remove) > 0 {
		in := apitype.SiteOwners{Site: c.Site, Add: c.Add, Remove: c.Remove}
		return s, cl.Post(a.context(), "/api/v1/sites/owners", in, &s)
	}
	var all []apitype.Site
	if err := cl.Get(a.context(), "/api/v1/sites", nil, &all); err != nil {
		return s, err
	}
	for _, s := range all {
		if s.Name == c.Site {
			return s, nil
		}
	}
	return s, errkind.New(errkind.NotFound, "no site of this name is visible to you").
		WithHint("`sallyport sites list` shows those you can see.")
}
