package config

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"time"
)

var shortName = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,30}$`)

func (c *Config) checkIdentities() error {
	if len(c.Identity) == 0 {
		return errors.New("[[identity]] is missing, so no one could sign in")
	}
	seen, builtin := map[string]bool{}, 0
	for _, p := range c.Identity {
		switch {
		case !shortName.MatchString(p.Name):
			return fmt.Errorf("[[identity]] name = %q: write 1 to 31 characters of a-z, 0-9 and -", p.Name)
		case seen[p.Name]:
			return fmt.Errorf("[[identity]] name = %q occurs twice", p.Name)
		case p.Builtin && (p.Issuer != "" || p.ClientID != "" || p.SecretFile != ""):
			return fmt.Errorf("[[identity]] %s: builtin has neither issuer nor client", p.Name)
		case !p.Builtin && (p.Issuer == "" || p.ClientID == ""):
			return fmt.Errorf("[[identity]] %s: issuer and client_id are missing; or write builtin = true", p.Name)
		}
		if err := p.checkAsking(); err != nil {
			return err
		}
		seen[p.Name] = true
		if p.Builtin {
			builtin++
		}
	}
	if builtin > 1 {
		return errors.New("[[identity]] builtin = true occurs twice; there is only one built-in provider")
	}
	return nil
}

// scopeToken is RFC 6749 section 3.3.
var scopeToken = regexp.MustCompile(`^[\x21\x23-\x5b\x5d-\x7e]{1,200}$`)

// checkAsking checks the keys that control requests to a provider.
func (p Identity) checkAsking() error {
	switch {
	case p.Builtin && (p.CAFile != "" || len(p.Scopes) > 0 || p.Prompt != "" || p.Logout != ""):
		return fmt.Errorf("[[identity]] %s: builtin takes neither ca_file nor scopes nor prompt nor logout", p.Name)
	case len(p.Scopes) > 0 && !slices.Contains(p.Scopes, "openid"):
		return fmt.Errorf("[[identity]] %s: scopes must contain \"openid\"", p.Name)
	case !p.Builtin && !slices.Contains([]string{"auto", "always", "never"}, p.Prompt):
		return fmt.Errorf("[[identity]] %s: prompt = %q: write \"auto\", \"always\" or \"never\"", p.Name, p.Prompt)
	case !p.Builtin && !slices.Contains([]string{"hint", "post_id_token"}, p.Logout):
		return fmt.Errorf("[[identity]] %s: logout = %q: write \"hint\" or \"post_id_token\"", p.Name, p.Logout)
	case time.Duration(p.NoRefresh) < time.Second || time.Duration(p.NoRefresh) > 12*time.Hour:
		return fmt.Errorf("[[identity]] %s: no_refresh_at_most must be between 1s and 12h", p.Name)
	}
	for _, s := range p.Scopes {
		if !scopeToken.MatchString(s) {
			return fmt.Errorf("[[identity]] %s: scopes: %q is not one scope; "+
				"write a list such as [\"openid\", \"groups\"]", p.Name, s)
		}
	}
	return nil
}
