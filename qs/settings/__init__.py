"""What will be measured: the settled values with their origins, the traffic, the cases."""
