"""What AWS would refuse for its number or size, counted in templates: how far an app is from each quota.

It needs neither the CDK nor Node: templates in, counts out.
"""
