"""Evaluate: what AWS answers a request, given every policy that has a say."""
