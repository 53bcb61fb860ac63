package oidcauth

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
)

// ErrUnknownPerson is in the chain when a provider that records who has left does not know a person. Its own files may
// be missing, so nothing may be revoked because of this error.
var ErrUnknownPerson = errors.New("the provider has no record of this person, neither present nor removed")

// Left reports that a person was removed or disabled at the provider. Only providers whose metadata has an address for
// this request can be asked, such as the built-in one. For other providers, and for one that does not answer, no person
// counts as having left.
func (p *Provider) Left(ctx context.Context, sub string) (bool, error) {
	m, _, err := p.discover(ctx)
	if err != nil || m.Account == "" {
		return false, err
	}
	var said struct {
		Known *bool `json:"known"`
		Left  bool  `json:"left"`
	}
	_, err = p.postAsClient(ctx, m.Account, url.Values{"sub": {sub}}, func(res *http.Response) error {
		if res.StatusCode != http.StatusOK || json.NewDecoder(res.Body).Decode(&said) != nil || said.Known == nil {
			return p.unreachable(fmt.Errorf("the account address answered %d", res.StatusCode))
		}
		return nil
	})
	if err != nil {
		return false, err
	}
	if !*said.Known && !said.Left {
		return false, ErrUnknownPerson
	}
	return said.Left, nil
}
