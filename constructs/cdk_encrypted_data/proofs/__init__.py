"""What templates mean: policies evaluated as AWS documents it, without an account, the CDK or Node.

Nothing here guesses. A document that AWS would refuse raises ``PolicyError``; a decision that AWS doesn't document, or
that hangs on something nobody said, raises ``Unmodelled``; neither is ever taken for "allowed" or for "denied".
"""
