package oidcauth

import "context"

// Probe asks the provider for its metadata now, whatever is remembered of it, and remembers nothing itself. Check is
// content with metadata of an hour ago, so it says nothing about a provider that has stopped since.
func (p *Provider) Probe(ctx context.Context) error {
	_, err := p.readMetadata(ctx)
	return err
}
