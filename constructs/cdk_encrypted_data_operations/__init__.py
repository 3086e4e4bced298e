"""What operators of encrypted data do by hand, seldom and with care: for a shell, and as a Python API.

It needs neither the constructs nor the CDK.
"""
