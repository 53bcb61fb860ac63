package format

const (
	labelPrefix = "sallyport/rec/v1/"
	labelChain  = "sallyport/rec/v1\x00"
	labelSealed = "sallyport/rec/v1/s\x00"
	// PurposeClose is the purpose of the signature over a close record.
	PurposeClose = "sallyport/v1/close"
)
