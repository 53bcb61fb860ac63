package oidcauth

import "context"

// Probe requests the provider's metadata now and bypasses the cache; nil means that the provider answers. Check accepts
// metadata that is an hour old, so it does not detect a provider that has stopped since.
func (p *Provider) Probe(ctx context.Context) error {
	_, err := p.readMetadata(ctx)
	return err
}
