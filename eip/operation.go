package eip

// operation is an action of the EC2 API; its name is in OperationNames.
type operation int

const (
	opDescribe operation = iota
	opAssociate
	opDisassociate
)

func (op operation) String() string { return OperationNames[op] }

// action is the operation's name in IAM.
func (op operation) action() string {
	return "ec2:" + [...]string{"DescribeAddresses", "AssociateAddress", "DisassociateAddress"}[op]
}

// resources are the ARNs on which the operation needs a permission. Listing cannot be narrowed. An empty allocation means any.
func (op operation) resources(allocation, eni string) []string {
	if op == opDescribe {
		return []string{"*"}
	}
	if allocation == "" {
		allocation = "*"
	}
	return []string{"arn:aws:ec2:*:*:elastic-ip/" + allocation, "arn:aws:ec2:*:*:network-interface/" + eni}
}
